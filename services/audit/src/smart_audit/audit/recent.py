"""What this process has appended and has not projected yet, still open.

The projector would have to read such an event back and open its seals, which costs three times as
much as all else it does. What is not here any more, or was appended by another process, it reads.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from smart_audit.audit.domain import MIB, Bytes, Entry, Event, OrganisationId

MAX_BYTES = Bytes(16 * MIB)


class ReadableEvent(NamedTuple):
    """An event as far as it can be read, and its place in the log."""

    log_index: int
    recorded_at: datetime
    recorded_by: str
    event: Event


class _Batch(NamedTuple):
    events: list[ReadableEvent]
    size: int


class Recent:
    """Keeps batches, up to `MAX_BYTES` together; the oldest go first."""

    def __init__(self) -> None:
        self._logs: OrderedDict[OrganisationId, deque[_Batch]] = OrderedDict()
        self._size = 0

    def add(self, organisation_id: OrganisationId, fresh: Mapping[int, Entry]) -> None:
        """Keep what one append has added, by place in the log."""
        events = [
            ReadableEvent(index, entry.recorded_at, entry.new.recorded_by, entry.event)
            for index, entry in fresh.items()
        ]
        size = sum(entry.size for entry in fresh.values())
        if not events:
            return
        self._logs.setdefault(organisation_id, deque()).append(_Batch(events, size))
        self._logs.move_to_end(organisation_id)
        self._size += size
        while self._size > MAX_BYTES:
            self._drop(next(iter(self._logs)))

    def take(self, organisation_id: OrganisationId, first: int) -> list[ReadableEvent] | None:
        """The batch that begins at `first`, once; what lies before it is dropped."""
        batches = self._logs.get(organisation_id)
        while batches and batches[0].events[0].log_index <= first:
            events = self._drop(organisation_id)
            if events[0].log_index == first:
                return events
        return None

    def _drop(self, organisation_id: OrganisationId) -> list[ReadableEvent]:
        """Take the oldest batch of a log out."""
        batches = self._logs[organisation_id]
        batch = batches.popleft()
        self._size -= batch.size
        if not batches:
            del self._logs[organisation_id]
        return batch.events
