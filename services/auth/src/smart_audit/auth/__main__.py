"""`python -m smart_audit.auth serve|migrate|…`: see `main`."""

from smart_audit.core.memory import import_lean

import_lean()

from pathlib import Path

from smart_audit.auth.administrators import grant_admin, revoke_admin
from smart_audit.auth.importing import import_users
from smart_audit.auth.key_command import rotate_signing_key
from smart_audit.auth.settings import AuthSettings
from smart_audit.auth.wiring import running
from smart_audit.core.main import run


def main() -> None:
    """Run what the command line asks for."""
    run(
        "auth",
        AuthSettings,
        running,
        Path(__file__).parent / "migrations",
        rotate_signing_key=rotate_signing_key,
        grant_admin=grant_admin,
        revoke_admin=revoke_admin,
        import_users=import_users,
    )


if __name__ == "__main__":
    main()
