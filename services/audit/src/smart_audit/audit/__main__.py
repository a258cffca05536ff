"""`python -m smart_audit.audit serve|migrate`, and what else an operator runs: see `main`."""

import os

from smart_audit.core.memory import import_lean

import_lean()
# Vectors are compared by one thread: what OpenBLAS shares among several it waits for in a loop that
# takes a whole core, long after each comparison. Before numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from pathlib import Path

from smart_audit.audit.integrity.command import verify_database
from smart_audit.audit.key_rotation import rotate_checkpoint_key
from smart_audit.audit.rebuilding import rebuild_search
from smart_audit.audit.settings import AuditSettings
from smart_audit.audit.wiring import running
from smart_audit.core.main import run


def main() -> None:
    """Run what the command line asks for."""
    run(
        "audit",
        AuditSettings,
        running,
        Path(__file__).parent / "migrations",
        rotate_checkpoint_key=rotate_checkpoint_key,
        verify_database=verify_database,
        rebuild_search=rebuild_search,
    )


if __name__ == "__main__":
    main()
