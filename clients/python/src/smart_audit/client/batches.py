"""Events in batches that one call can carry."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

Item = TypeVar("Item")

BATCH_EVENTS: Final = 250
# A gRPC server takes messages of up to 4 MiB.
BATCH_BYTES: Final = 3 * 1024 * 1024


def batches(items: Iterable[Item], size_of: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Batches in order, none of them empty. size_of: the bytes of an item's event."""
    batch: list[Item] = []
    size = 0
    for item in items:
        item_size = size_of(item)
        if batch and (len(batch) == BATCH_EVENTS or size + item_size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item_size
    if batch:
        yield batch
