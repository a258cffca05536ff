"""Columns of a batch as PostgreSQL arrays in binary form.

psycopg encodes arrays element by element in Python, which took a third of the whole append. These
columns have one type each and no nulls, so that a column is packed at once.

Source: PostgreSQL, array_send in src/backend/utils/adt/arrayfuncs.c: dimensions, null flag, element
type; for each dimension length and lower bound; for each element its length and bytes.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct, pack
from typing import Any, ClassVar
from uuid import UUID

from psycopg import postgres
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

_LENGTH = Struct(">i").pack
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Column:
    """An encoded array; each type of array is a class of its own, since psycopg goes by classes."""

    __slots__ = ("encoded",)
    oid: ClassVar[int]

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded


_KINDS: dict[str, type[Column]] = {
    name: type(f"{name}_column", (Column,), {"oid": postgres.types[name].array_oid})
    for name in ("bool", "bytea", "int2", "int8", "text", "timestamptz", "uuid")
}


class _Dumper(Dumper):
    """Hands an encoded array through."""

    format = Format.BINARY

    def dump(self, obj: Column) -> bytes:
        return obj.encoded


# Made once: to make a class takes longer than to insert many rows.
_DUMPERS = [
    (kind, type(f"{kind.__name__}_dumper", (_Dumper,), {"oid": kind.oid}))
    for kind in _KINDS.values()
]


def register(context: AdaptContext) -> None:
    """Let a connection take columns as parameters."""
    for kind, dumper in _DUMPERS:
        context.adapters.register_dumper(kind, dumper)


def bigints(values: Sequence[int]) -> Column:
    """Column of `bigint`."""
    return _fixed("int8", "q", 8, values)


def smallints(values: Sequence[int]) -> Column:
    """Column of `smallint`."""
    return _fixed("int2", "h", 2, values)


def booleans(values: Sequence[bool]) -> Column:
    """Column of `boolean`."""
    return _fixed("bool", "?", 1, values)


def times(values: Iterable[datetime]) -> Column:
    """Column of `timestamptz`: microseconds since 2000-01-01 UTC."""
    # Most times stand there often: a batch comes in at one moment, an event has several targets.
    known: dict[datetime, int] = {}
    return _fixed(
        "timestamptz",
        "q",
        8,
        [
            known.get(value) or known.setdefault(value, (value - _EPOCH) // _MICROSECOND)
            for value in values
        ],
    )


def uuids(values: Iterable[UUID]) -> Column:
    """Column of `uuid`."""
    return _variable("uuid", [value.bytes for value in values])


def texts(values: Iterable[str]) -> Column:
    """Column of `text`."""
    return _variable("text", [value.encode() for value in values])


def byteas(values: Sequence[bytes]) -> Column:
    """Column of `bytea`."""
    return _variable("bytea", values)


def _fixed(name: str, code: str, size: int, values: Sequence[Any]) -> Column:
    flat: list[Any] = [size] * (2 * len(values))
    flat[1::2] = values
    return _array(name, len(values), pack(f">{f'i{code}' * len(values)}", *flat))


def _variable(name: str, values: Sequence[bytes]) -> Column:
    parts: list[bytes] = [b""] * (2 * len(values))
    parts[::2] = map(_LENGTH, map(len, values))
    parts[1::2] = values
    return _array(name, len(values), b"".join(parts))


def _array(name: str, count: int, elements: bytes) -> Column:
    info = postgres.types[name]
    dimensions = pack(">ii", count, 1) if count else b""
    head = pack(">iiI", 1 if count else 0, 0, info.oid)
    return _KINDS[name](head + dimensions + elements)
