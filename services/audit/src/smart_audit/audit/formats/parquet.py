"""Events as Apache Parquet, written as a stream: row groups leave the memory once they are full.

A reader needs the end of the file first, so a file that was cut off is of no use.
"""

from collections.abc import Callable, Sequence
from io import RawIOBase
from typing import Any, Final

import pyarrow as pa
from pyarrow import parquet

from smart_audit.audit.domain import Event, Recorded
from smart_audit.audit.formats.base import Proofs
from smart_audit.audit.formats.facts import json_text

# Large enough that readers can skip and compress well, small enough to hold.
ROW_GROUP_ROWS: Final = 20_000
ROW_GROUP_BYTES: Final = 16 * 1024 * 1024

_TIME: Final = pa.timestamp("us", tz="UTC")
_TARGET: Final = pa.struct([("id", pa.string()), ("type", pa.string()), ("name", pa.string())])

# Empty texts are null: they were not given, or they were erased (`erased_fields` says which).
_COLUMNS: Final[Sequence[tuple[str, Any, Callable[[Recorded, Event], Any]]]] = (
    ("log_index", pa.int64(), lambda recorded, _: recorded.log_index),
    ("id", pa.string(), lambda _, event: str(event.id)),
    ("organisation_id", pa.string(), lambda _, event: str(event.organisation_id)),
    ("occurred_at", _TIME, lambda _, event: event.occurred_at),
    ("recorded_at", _TIME, lambda recorded, _: recorded.recorded_at),
    ("recorded_by", pa.string(), lambda recorded, _: recorded.recorded_by),
    ("action", pa.string(), lambda _, event: event.action),
    ("outcome", pa.string(), lambda _, event: event.outcome.name),
    ("outcome_reason", pa.string(), lambda _, event: event.outcome_reason or None),
    ("actor_type", pa.string(), lambda _, event: event.actor.type),
    ("actor_id", pa.string(), lambda _, event: event.actor.id),
    ("actor_name", pa.string(), lambda _, event: event.actor.name or None),
    ("actor_email", pa.string(), lambda _, event: event.actor.email or None),
    ("targets", pa.list_(_TARGET), lambda _, event: _targets(event)),
    ("source", pa.string(), lambda _, event: event.source or None),
    ("source_address", pa.string(), lambda _, event: event.source_address or None),
    ("user_agent", pa.string(), lambda _, event: event.user_agent or None),
    ("metadata", pa.string(), lambda _, event: json_text(event.metadata) or None),
    ("erased_fields", pa.list_(pa.string()), lambda recorded, _: list(recorded.erased)),
)
SCHEMA: Final = pa.schema([(name, kind) for name, kind, _ in _COLUMNS])


class Parquet:
    """A row of each event: times as timestamps, targets as a list of structs, metadata as JSON."""

    content_type = "application/vnd.apache.parquet"
    file_extension = "parquet"
    takes_proofs = False
    cuttable = False

    def __init__(self) -> None:
        self._sink = _Sink()
        self._writer = parquet.ParquetWriter(self._sink, SCHEMA, compression="zstd")
        self._batches: list[Any] = []
        self._rows = 0
        self._bytes = 0

    def begin(self) -> bytes:
        """The first bytes of the file."""
        return self._sink.drain()

    def lines(self, events: Sequence[Recorded], proofs: Proofs | None = None) -> bytes:
        """The row groups that are full; the rest waits for more events."""
        if events:
            batch = _batch(events)
            self._batches.append(batch)
            self._rows += batch.num_rows
            self._bytes += batch.nbytes
        if self._rows >= ROW_GROUP_ROWS or self._bytes >= ROW_GROUP_BYTES:
            self._write_row_group()
        return self._sink.drain()

    def end(self) -> bytes:
        """The last row group and the footer, which says where the others are."""
        self._write_row_group()
        self._writer.close()
        return self._sink.drain()

    def _write_row_group(self) -> None:
        if self._batches:
            table = pa.Table.from_batches(self._batches, SCHEMA)
            self._writer.write_table(table, row_group_size=self._rows)
        self._batches, self._rows, self._bytes = [], 0, 0


class _Sink(RawIOBase):
    """A file that keeps what is written only until it is fetched."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Keep a copy: the caller uses its buffer again."""
        copied = bytes(data)
        self._written.append(copied)
        self._position += len(copied)
        return len(copied)

    def tell(self) -> int:
        """Bytes written from the beginning of the file, fetched or not."""
        return self._position

    def drain(self) -> bytes:
        """What has been written since the last time."""
        drained = b"".join(self._written)
        self._written.clear()
        return drained


def _batch(events: Sequence[Recorded]) -> Any:
    arrays = [
        pa.array([value(recorded, recorded.event) for recorded in events], kind)
        for _, kind, value in _COLUMNS
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _targets(event: Event) -> list[dict[str, str | None]]:
    return [
        {"id": target.id, "type": target.type or None, "name": target.name or None}
        for target in event.targets
    ]
