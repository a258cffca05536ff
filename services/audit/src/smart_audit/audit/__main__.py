"""`python -m smart_audit.audit serve|migrate`, and what else an operator runs: see `main`."""

import os

from smart_audit.core.memory import import_lean

# Who only imports this has imports of its own.
if __name__ == "__main__":
    import_lean()
# Vectors are compared by one thread: what OpenBLAS shares among several it waits for in a loop that
# takes a whole core, long after each comparison. Before numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path

from smart_audit.audit.settings import AuditSettings
from smart_audit.core.main import run


def main() -> None:
    """Run what the command line asks for."""
    run(
        "audit",
        AuditSettings,
        Path(__file__).parent / "migrations",
        serve="smart_audit.audit.wiring:running",
        check="smart_audit.audit.checking:check",
        rotate_checkpoint_key="smart_audit.audit.key_rotation:rotate_checkpoint_key",
        verify_database="smart_audit.audit.integrity.command:verify_database",
        rebuild_search="smart_audit.audit.rebuilding:rebuild_search",
    )


if __name__ == "__main__":
    main()
