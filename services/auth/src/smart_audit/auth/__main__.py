"""`python -m smart_audit.auth serve|migrate|…`: see `main`."""

from smart_audit.core.memory import import_lean

# Who only imports this has imports of its own.
if __name__ == "__main__":
    import_lean()

from pathlib import Path

from smart_audit.auth.settings import AuthSettings
from smart_audit.core.main import run


def main() -> None:
    """Run what the command line asks for."""
    run(
        "auth",
        AuthSettings,
        Path(__file__).parent / "migrations",
        serve="smart_audit.auth.wiring:running",
        check="smart_audit.auth.checking:check",
        rotate_signing_key="smart_audit.auth.key_command:rotate_signing_key",
        grant_admin="smart_audit.auth.administrators:grant_admin",
        revoke_admin="smart_audit.auth.administrators:revoke_admin",
        import_users="smart_audit.auth.importing:import_users",
    )


if __name__ == "__main__":
    main()
