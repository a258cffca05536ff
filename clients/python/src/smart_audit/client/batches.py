"""Events in batches that one call can carry."""

from collections.abc import Iterable, Iterator
from typing import Final

from smart_audit.api.audit.v1 import audit_pb2

BATCH_EVENTS: Final = 250
# A gRPC server takes messages of up to 4 MiB.
BATCH_BYTES: Final = 3 * 1024 * 1024


def batches(events: Iterable[audit_pb2.Event]) -> Iterator[list[audit_pb2.Event]]:
    """Batches in order, none of them empty."""
    batch: list[audit_pb2.Event] = []
    size = 0
    for event in events:
        event_size = event.ByteSize()
        if batch and (len(batch) == BATCH_EVENTS or size + event_size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += event_size
    if batch:
        yield batch
