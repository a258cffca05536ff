"""What a witness must never forget: for each log the note that it cosigned last."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

# `synchronous=FULL` makes a commit wait for the disk. Another process that decides waits so long.
BUSY_TIMEOUT_S = 10
SCHEMA = """
CREATE TABLE IF NOT EXISTS cosigned (
    origin_hash TEXT PRIMARY KEY,
    note TEXT NOT NULL
) WITHOUT ROWID;
"""

Decide = Callable[[str | None], str]
"""From the note that was cosigned last to the one that takes its place; raises to keep it."""


class Store:
    """The notes that were cosigned last, in a file. For one thread; other processes may share it.

    Raises: sqlite3.Error, also for a file that is no database.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def latest(self, origin_hash: str) -> str | None:
        """The note that was cosigned last for a log."""
        query = "SELECT note FROM cosigned WHERE origin_hash = ?"
        with closing(self._connection.execute(query, [origin_hash])) as found:
            row = found.fetchone()
        return None if row is None else row[0]

    def replace(self, origin: str, decide: Decide) -> None:
        """Decide about a log and keep the decision, durable on return.

        Nobody else decides meanwhile: two checkpoints that were both compared with the same state
        could be a fork.
        """
        key = origin_hash(origin)
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._connection.execute(
                "INSERT INTO cosigned VALUES (?, ?)"
                " ON CONFLICT (origin_hash) DO UPDATE SET note = excluded.note",
                [key, decide(self.latest(key))],
            )
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def origin_hash(origin: str) -> str:
    """How monitors name a log: the SHA-256 of its origin, in hex.

    Source: C2SP tlog-witness, section "Monitor Retrieval Mechanism".
    """
    return sha256(origin.encode()).hexdigest()
