"""What became of the events that a program has recorded."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Lost(StrEnum):
    """Why an event was dropped."""

    QUEUE_FULL = "queue_full"
    SPOOL_FULL = "spool_full"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    """It makes no event: `record` was called with something wrong."""
    CLOSED = "closed"
    UNREADABLE = "unreadable"
    """What was left of it on disk cannot be read; how many events it was nobody knows."""


@dataclass(frozen=True, slots=True)
class Counters:
    """A moment's state.

    accepted: taken in by this process. sent: in the log, with what other processes left behind.
    spooled: written to disk. dropped: by reason (`Lost`). refused: by the service's reason; they
    lie in the file of refused events. waiting: not sent yet, here and on disk. trouble: why sending
    fails now, and disk_trouble why writing does; empty while they do not.
    """

    accepted: int
    sent: int
    spooled: int
    dropped: Mapping[str, int]
    refused: Mapping[str, int]
    waiting: int
    trouble: str
    disk_trouble: str


class Tally:
    """Counts, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = self._spooled = 0
        self._dropped: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self.trouble = self.disk_trouble = ""

    def add_sent(self, count: int) -> None:
        """Events are in the log."""
        with self._lock:
            self._sent += count

    def add_spooled(self, count: int) -> None:
        """Events are on disk."""
        with self._lock:
            self._spooled += count

    def add_dropped(self, why: Lost, count: int = 1) -> None:
        """Events are lost."""
        with self._lock:
            self._dropped[why.value] += count

    def add_refused(self, reason: str) -> None:
        """The service does not take an event."""
        with self._lock:
            self._refused[reason] += 1

    def read(self, accepted: int, waiting: int) -> Counters:
        """All of it."""
        with self._lock:
            return Counters(
                accepted,
                self._sent,
                self._spooled,
                dict(self._dropped),
                dict(self._refused),
                waiting,
                self.trouble,
                self.disk_trouble,
            )
