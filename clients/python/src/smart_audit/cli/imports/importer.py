"""Sending records in batches, and telling what became of each."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.imports.lines import Found, Unreadable
from smart_audit.client.batches import BATCH_BYTES, batches
from smart_audit.client.imports.records import BadRecord

Send = Callable[[audit_pb2.RecordEventsRequest], audit_pb2.RecordEventsResponse]
Placed = tuple[str, audit_pb2.Event]
"""An event, and the place of its record."""
ToEvent = Callable[[Any], audit_pb2.Event]
"""Makes an event of a record, or raises BadRecord."""
Complain = Callable[[str, str], None]
"""Told the place of each record that is skipped, and why."""


@dataclass
class Tally:
    """What became of the records."""

    read: int = 0
    recorded: int = 0
    already_there: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        """One line for people and scripts."""
        return (
            f"{self.read} read, {self.recorded} recorded, "
            f"{self.already_there} already there, {self.skipped} skipped"
        )


class Mapped:
    """The events of records, in their order; counts, and passes over what makes no event."""

    def __init__(self, to_event: ToEvent, complain: Complain) -> None:
        self.tally = Tally()
        self._to_event = to_event
        self._complain = complain

    def events(self, found: Iterable[Found | Unreadable]) -> Iterator[Placed]:
        """The events that one call can carry."""
        for one in found:
            self.tally.read += 1
            if isinstance(one, Unreadable):
                self.skip(one.place, one.why)
                continue
            try:
                event = self._to_event(one.value)
            except BadRecord as error:
                self.skip(one.place, str(error))
                continue
            if event.ByteSize() > BATCH_BYTES:
                # The service would refuse the whole call, and the events beside it.
                self.skip(one.place, "larger than 3 MiB")
                continue
            yield one.place, event

    def skip(self, place: str, why: str) -> None:
        """Count and tell a record that is not recorded."""
        self.tally.skipped += 1
        self._complain(place, why)


class Importer:
    """One import into one log.

    send: records a batch, or raises. log_size: of the log before the import.
    on_batch: called after each batch.
    """

    def __init__(
        self, send: Send, log_size: int, mapped: Mapped, on_batch: Callable[[], None]
    ) -> None:
        self.tally = mapped.tally
        self._send = send
        self._next_index = log_size
        self._mapped = mapped
        self._on_batch = on_batch

    def run(self, found: Iterable[Found | Unreadable]) -> None:
        """Record everything that can be recorded, in its order.

        Raises: whatever `send` raises; `tally` then tells how far the import came.
        """
        for batch in batches(self._mapped.events(found), _size):
            request = audit_pb2.RecordEventsRequest(events=[event for _, event in batch])
            answer = self._send(request)
            for (place, _), result in zip(batch, answer.results, strict=True):
                self._settle(place, result)
            self._on_batch()

    def _settle(self, place: str, result: audit_pb2.RecordResult) -> None:
        if result.WhichOneof("result") == "refusal":
            refusal = result.refusal
            self._mapped.skip(place, f"{refusal.message} ({refusal.reason})")
            return
        index = result.receipt.proof.log_index
        # A log grows at its end only, and keeps the order of a batch. So an event that came in
        # now stands behind all that came before it; any other was there, or came twice.
        if index < self._next_index:
            self.tally.already_there += 1
        else:
            self.tally.recorded += 1
            self._next_index = index + 1


def _size(placed: Placed) -> int:
    return placed[1].ByteSize()
