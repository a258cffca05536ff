"""What a check of a whole log finds."""

from dataclasses import dataclass, field
from typing import Final

MAX_KEPT: Final = 100  # faults that are kept; more are only counted
# With so many a check ends: a log may claim any size, and lack all of it.
TOO_MANY: Final = 1_000


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """Something that does not hold.

    log_index: the first entry that it concerns, for the order alone. place: a path below the
    log's prefix, as in "tile/0/000", or "entry 17".
    """

    log_index: int
    place: str
    why: str

    def __str__(self) -> str:
        """One line that names the place."""
        return f"{self.place}: {self.why}"


@dataclass(slots=True)
class Findings:
    """What has been found so far.

    expired_bundles: indexes of those that retention has removed entries of. expired: entries whose
    content could not be looked at for that. events: how many were held against their leaves, None
    when none was to be. withheld: fields that those leaves commit to and the listing did not show.
    """

    faults: list[Fault] = field(default_factory=list)
    fault_count: int = 0
    expired_bundles: set[int] = field(default_factory=set)
    expired: int = 0
    events: int | None = None
    withheld: int = 0

    def add(self, log_index: int, place: str, why: str) -> None:
        """Note a fault."""
        self.fault_count += 1
        if len(self.faults) < MAX_KEPT:
            self.faults.append(Fault(log_index, place, why))

    def add_entry(self, log_index: int, why: str) -> None:
        """Note a fault of one entry."""
        self.add(log_index, f"entry {log_index}", why)
