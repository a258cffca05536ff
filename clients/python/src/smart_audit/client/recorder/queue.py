"""What was recorded a moment ago: bounded, and quick to put something into."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import islice
from typing import Final

from smart_audit.client.recorder.counters import Lost, Tally


class Drop(StrEnum):
    """Which events are dropped when there is no room."""

    NEWEST = "newest"
    OLDEST = "oldest"


class Queue:
    """Serialised events in their order.

    max_events, max_bytes: what it holds at most. wake: called, by whoever puts something in, when
    the reader waits.
    """

    def __init__(
        self, max_events: int, max_bytes: int, drop: Drop, tally: Tally, wake: Callable[[], None]
    ) -> None:
        self._max_events: Final = max_events
        self._max_bytes: Final = max_bytes
        self.drop: Final = drop
        self._tally: Final = tally
        self._wake: Final = wake
        self._lock = threading.Lock()
        self._events: deque[bytes] = deque()
        self._bytes = 0
        # Taken out, and neither sent nor written anywhere yet.
        self._taken_events = self._taken_bytes = 0
        self._is_awaited = True
        self._is_closed = False
        self.accepted = 0

    def put(self, event: bytes) -> None:
        """Take an event in, or drop one."""
        with self._lock:
            if self._is_closed:
                self._tally.add_dropped(Lost.CLOSED)
                return
            # None has to go for an event that would not fit even then.
            makes_room = self.drop is Drop.OLDEST and self._has_room(len(event), emptied=True)
            while not self._has_room(len(event)):
                if not makes_room:
                    self._tally.add_dropped(Lost.QUEUE_FULL)
                    return
                self._bytes -= len(self._events.popleft())
                self._tally.add_dropped(Lost.QUEUE_FULL)
            self._events.append(event)
            self._bytes += len(event)
            self.accepted += 1
            wanted, self._is_awaited = self._is_awaited, False
        if wanted:
            self._wake()

    def close(self) -> None:
        """Take nothing more in; what is there can be taken out."""
        with self._lock:
            self._is_closed = True

    def _has_room(self, size: int, *, emptied: bool = False) -> bool:
        events, held = (0, 0) if emptied else (len(self._events), self._bytes)
        return (
            events + self._taken_events < self._max_events
            and held + self._taken_bytes + size <= self._max_bytes
        )

    def take(self, max_events: int, max_bytes: int) -> list[bytes]:
        """The oldest events, which hold their place until `settle`; none asks to be woken."""
        with self._lock:
            taken: list[bytes] = []
            size = 0
            for event in islice(self._events, max_events):
                if taken and size + len(event) > max_bytes:
                    break
                taken.append(event)
                size += len(event)
            for _ in taken:
                self._events.popleft()
            self._bytes -= size
            self._taken_events += len(taken)
            self._taken_bytes += size
            self._is_awaited = not taken
            return taken

    def await_again(self) -> None:
        """Who was woken could not begin: the next event asks once more."""
        with self._lock:
            self._is_awaited = True

    def settle(self, taken: Sequence[bytes]) -> None:
        """These have been sent or written."""
        with self._lock:
            self._taken_events -= len(taken)
            self._taken_bytes -= sum(map(len, taken))

    def put_back(self, taken: Sequence[bytes]) -> None:
        """These have not; they are the oldest again."""
        self.settle(taken)
        with self._lock:
            self._events.extendleft(reversed(taken))
            self._bytes += sum(map(len, taken))

    def __len__(self) -> int:
        with self._lock:
            return len(self._events) + self._taken_events
