"""What a verification tells: findings, and how far it has come."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from smart_audit.audit.integrity.kept import KeptCheckpoint


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the database that is not as the service left it, and where."""

    table: str
    organisation_id: UUID | None
    """None for what belongs to no organisation."""
    place: str
    """The row, by what identifies it in words; empty for the table as a whole."""
    problem: str

    def __str__(self) -> str:
        whose = "" if self.organisation_id is None else f", organisation {self.organisation_id}"
        where = f", {self.place}" if self.place else ""
        return f"audit.{self.table}{whose}{where}: {self.problem}"


def log_index(first: int, last: int | None = None) -> str:
    """The place of an entry, or of those from `first` to `last`."""
    if last is None or last == first:
        return f"log index {first}"
    return f"log indexes {first} to {last}"


async def _at_once(_rows: int) -> None:
    pass


def _ignore(_what: object) -> None:
    pass


def _ignore_log(_organisation_id: UUID, _size: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Watch:
    """What is told during a verification, by calls."""

    logs: Callable[[int], None] = _ignore
    """How many logs there are to verify."""
    log: Callable[[UUID, int], None] = _ignore_log
    """A log is begun, which says that it has so many entries."""
    entries: Callable[[int], None] = _ignore
    """So many more entries have been verified."""
    verified: Callable[[KeptCheckpoint], None] = _ignore
    """A log has been verified to its end and nothing was found."""
    rows: Callable[[int], Awaitable[None]] = field(default=_at_once)
    """So many more rows have been read; waits for as long as the reader should."""
