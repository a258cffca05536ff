"""Reading one log in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import namedtuple_row
from sqlalchemy import Row, Select, and_, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import (
    Bytes,
    EventId,
    Filter,
    OrganisationId,
    Placed,
    Position,
    Recorded,
)
from smart_audit.audit.errors import LogDamaged
from smart_audit.audit.repository.opened_entries import (
    EntryRow,
    OpenedEntry,
    boxes_of,
    opened_entries,
    to_recorded,
)
from smart_audit.audit.repository.subjects import wrapped_keys
from smart_audit.audit.tables import entries, entry_targets, logs, payloads, tiles
from smart_audit.audit.wrapping import Wrapping
from smart_audit.core.database import driver_of
from smart_audit.core.sealing import SealBroken
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.tiles import TILE_WIDTH, Tile

PLACED = select(
    entries.c.log_index,
    entries.c.event_id,
    entries.c.recorded_at,
    entries.c.tree_size,
    entries.c.leaf_hash,
)
CONTENT = and_(
    payloads.c.organisation_id == entries.c.organisation_id,
    payloads.c.recorded_at == entries.c.recorded_at,
    payloads.c.log_index == entries.c.log_index,
)
RECORDED = select(
    entries.c.log_index,
    entries.c.event_id,
    entries.c.recorded_at,
    entries.c.leaf_hash,
    payloads.c.leaf,
    payloads.c.disclosures,
).join(payloads, CONTENT)
# The same at some places. As text, since to compile it would take as long as to run it, and with
# one parameter, so that it is the same statement for any number of places.
RECORDED_AT = """
SELECT entries.log_index, entries.event_id, entries.recorded_at, entries.leaf_hash, payloads.leaf,
    payloads.disclosures
FROM audit.entries
JOIN audit.payloads ON payloads.organisation_id = entries.organisation_id
    AND payloads.recorded_at = entries.recorded_at AND payloads.log_index = entries.log_index
WHERE entries.organisation_id = %s AND entries.log_index = ANY (%s::bigint[])
"""
_SIZE = func.coalesce(
    func.octet_length(payloads.c.leaf) + func.octet_length(payloads.c.disclosures), 0
)
# With entries whose content retention has removed, and the bytes of content in and before each.
RECORDED_OR_GONE: Select[Any] = select(
    entries.c.log_index,
    entries.c.event_id,
    entries.c.recorded_at,
    entries.c.leaf_hash,
    payloads.c.leaf,
    payloads.c.disclosures,
    _SIZE.label("size"),
    (func.sum(_SIZE).over(order_by=entries.c.log_index) - _SIZE).label("size_before"),
).join(payloads, CONTENT, isouter=True)
# Processes read their clocks before they queue for the log, so that a few neighbours in the log may
# have their times in another order.
OUT_OF_ORDER = 1_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """Events that lie side by side in the log; those whose content is gone are left out."""

    events: Sequence[Recorded]
    end: int
    """The place behind them: where the stretch begins, when the log ends there."""
    more: bool
    """Whether the log may go on."""


class LogReader:
    """Reads one log in one transaction."""

    def __init__(
        self, connection: AsyncConnection, organisation_id: OrganisationId, wrapping: Wrapping
    ) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        self._wrapping = wrapping

    async def head(self) -> CompactRange:
        """The log's state; empty for an organisation that has recorded nothing yet."""
        statement = select(logs.c.size, logs.c.compact_range).where(
            logs.c.organisation_id == self._organisation_id
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return CompactRange.empty() if row is None else CompactRange.from_bytes(*row)

    async def get(self, event_id: EventId) -> Recorded | None:
        """One event by id. Raises: LogDamaged."""
        statement = self._recorded().where(entries.c.event_id == event_id)
        found = await self._open((await self._connection.execute(statement)).all())
        return to_recorded(found[0]) if found else None

    async def opened(self, indexes: Iterable[int]) -> dict[int, OpenedEntry]:
        """Entries by their place in the log; those without content are left out.

        Raises: LogDamaged.
        """
        wanted = list(indexes)
        if not wanted:
            return {}
        driver = await driver_of(self._connection)
        # In binary form: as text, the bytes of content would travel as hexadecimal digits.
        cursor = driver.cursor(binary=True, row_factory=namedtuple_row)
        await cursor.execute(RECORDED_AT, (self._organisation_id, wanted))
        rows = await cursor.fetchall()
        return {entry.log_index: entry for entry in await self._open(rows)}

    async def recorded(self, indexes: Iterable[int]) -> dict[int, Recorded]:
        """Events by their place in the log; those without content are left out.

        Raises: LogDamaged.
        """
        opened = await self.opened(indexes)
        return {index: to_recorded(entry) for index, entry in opened.items()}

    async def placed(self, indexes: Iterable[int]) -> dict[int, Placed]:
        """What stays for ever of entries, by their place in the log."""
        statement = self._placed().where(entries.c.log_index.in_(list(indexes)))
        return {row.log_index: _placed(row) for row in await self._connection.execute(statement)}

    async def place_of(self, event_id: EventId) -> Placed | None:
        """What stays for ever of an event."""
        statement = self._placed().where(entries.c.event_id == event_id)
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _placed(row)

    async def places(self, event_ids: Iterable[EventId]) -> dict[EventId, int]:
        """Where the log holds events, of those that it holds."""
        statement = self._placed().where(entries.c.event_id.in_(list(event_ids)))
        rows = await self._connection.execute(statement)
        return {EventId(row.event_id): row.log_index for row in rows}

    async def place_of_leaf(self, leaf: bytes) -> int | None:
        """The place in the log of the leaf with this hash, 32 bytes."""
        statement = select(entries.c.log_index).where(
            entries.c.organisation_id == self._organisation_id, entries.c.leaf_hash == leaf
        )
        index: int | None = await self._connection.scalar(statement)
        return index

    async def leaves(self, first: int, count: int) -> list[bytes | None]:
        """The leaves at `first` and after it; None where retention has removed the content."""
        statement = (
            select(entries.c.log_index, payloads.c.leaf)
            .join(payloads, CONTENT, isouter=True)
            .where(
                entries.c.organisation_id == self._organisation_id,
                entries.c.log_index >= first,
                entries.c.log_index < first + count,
            )
            .order_by(entries.c.log_index)
        )
        return [row.leaf for row in await self._connection.execute(statement)]

    async def page(
        self,
        narrow: Filter,
        after: Position | None,
        limit: int,
        *,
        oldest_first: bool = False,
    ) -> list[Recorded]:
        """The next events in order of (occurred_at, log_index).

        Raises: LogDamaged.
        """
        statement = _narrowed(self._recorded(), narrow)
        columns = (payloads.c.occurred_at, payloads.c.log_index)
        if after is not None:
            key, place = tuple_(*columns), (after.occurred_at, after.log_index)
            statement = statement.where(key > place if oldest_first else key < place)
        order = columns if oldest_first else [column.desc() for column in columns]
        statement = statement.order_by(*order).limit(limit)
        rows = (await self._connection.execute(statement)).all()
        return [to_recorded(entry) for entry in await self._open(rows)]

    async def events_from(self, first: int, limit: int, size: Bytes) -> Stretch:
        """The events at a place of the log and after it, of at most `limit` entries.

        size: how much content to read, about; one entry is read whatever it has.
        Raises: LogDamaged.
        """
        inner = (
            RECORDED_OR_GONE.where(
                entries.c.organisation_id == self._organisation_id, entries.c.log_index >= first
            )
            .order_by(entries.c.log_index)
            .limit(limit)
            .subquery()
        )
        # Sizes are known without reading content that lies apart, and only what is kept is read.
        statement = select(inner).where(inner.c.size_before < size).order_by(inner.c.log_index)
        rows = (await self._connection.execute(statement)).all()
        if not rows:
            return Stretch([], first, more=False)
        opened = await self._open([row for row in rows if row.leaf is not None])
        last = rows[-1]
        more = len(rows) == limit or last.size_before + last.size >= size
        return Stretch([to_recorded(entry) for entry in opened], last.log_index + 1, more=more)

    async def first_since(self, time: datetime) -> int | None:
        """The place of the first event that was recorded at a time or later; None if none was."""
        earliest = (
            select(payloads.c.log_index)
            .where(
                payloads.c.organisation_id == self._organisation_id, payloads.c.recorded_at >= time
            )
            .order_by(payloads.c.recorded_at, payloads.c.log_index)
            .limit(OUT_OF_ORDER)
            .subquery()
        )
        first: int | None = await self._connection.scalar(select(func.min(earliest.c.log_index)))
        return first

    async def tile_hashes(self, wanted: Iterable[Tile], size: int) -> dict[Tile, bytes]:
        """The hashes of tiles in the log's tree of `size` leaves; partial ones are short.

        Full tiles are stored. A partial one is the leaf hashes at the end of the log, or the
        roots of the full tiles below it.
        """
        full = [tile for tile in wanted if _end(tile) <= size]
        hashes = await self._full_tiles(full) if full else {}
        for tile in set(wanted) - set(full):
            hashes[tile] = await self._partial_tile(tile)
        return hashes

    async def _full_tiles(self, wanted: Sequence[Tile]) -> dict[Tile, bytes]:
        statement = select(tiles.c.level, tiles.c.tile_index, tiles.c.hashes).where(
            tiles.c.organisation_id == self._organisation_id,
            tuple_(tiles.c.level, tiles.c.tile_index).in_(
                [(tile.level, tile.index) for tile in wanted]
            ),
        )
        return {
            Tile(row.level, row.tile_index): row.hashes
            for row in await self._connection.execute(statement)
        }

    async def _partial_tile(self, tile: Tile) -> bytes:
        first = tile.index * TILE_WIDTH
        if tile.level == 0:
            statement = (
                select(entries.c.leaf_hash)
                .where(
                    entries.c.organisation_id == self._organisation_id,
                    entries.c.log_index >= first,
                    entries.c.log_index < first + TILE_WIDTH,
                )
                .order_by(entries.c.log_index)
            )
        else:
            statement = (
                select(tiles.c.root)
                .where(
                    tiles.c.organisation_id == self._organisation_id,
                    tiles.c.level == tile.level - 1,
                    tiles.c.tile_index >= first,
                    tiles.c.tile_index < first + TILE_WIDTH,
                )
                .order_by(tiles.c.tile_index)
            )
        return b"".join(await self._connection.scalars(statement))

    def _placed(self) -> Select[Any]:
        return PLACED.where(entries.c.organisation_id == self._organisation_id)

    def _recorded(self) -> Select[Any]:
        return RECORDED.where(entries.c.organisation_id == self._organisation_id)

    async def _open(self, rows: Sequence[EntryRow]) -> list[OpenedEntry]:
        """Open what can be opened. Raises: LogDamaged."""
        boxes = boxes_of(rows)
        wanted = {key_id for some in boxes for box in some for key_id in box.key_ids}
        wrapped = await wrapped_keys(self._connection, self._organisation_id, wanted)
        try:
            keys = self._wrapping.unwrapped(self._organisation_id, wrapped)
        except SealBroken as error:
            raise LogDamaged(f"a subject's key is damaged: {error}") from error
        return opened_entries(rows, self._organisation_id, boxes, keys)


def _narrowed(statement: Select[Any], narrow: Filter) -> Select[Any]:
    equal = {
        payloads.c.actor_id: narrow.actor_id,
        payloads.c.action: narrow.action,
        payloads.c.outcome: narrow.outcome,
    }
    for column, value in equal.items():
        if value is not None:
            statement = statement.where(column == value)
    if narrow.occurred_from is not None:
        statement = statement.where(payloads.c.occurred_at >= narrow.occurred_from)
    if narrow.occurred_before is not None:
        statement = statement.where(payloads.c.occurred_at < narrow.occurred_before)
    if narrow.target_id is not None:
        statement = statement.join(
            entry_targets,
            and_(
                entry_targets.c.organisation_id == payloads.c.organisation_id,
                entry_targets.c.log_index == payloads.c.log_index,
                entry_targets.c.occurred_at == payloads.c.occurred_at,
                entry_targets.c.recorded_at == payloads.c.recorded_at,
            ),
        ).where(entry_targets.c.target_id == narrow.target_id)
    return statement


def _placed(row: Row[Any]) -> Placed:
    return Placed(
        EventId(row.event_id), row.log_index, row.recorded_at, row.tree_size, row.leaf_hash
    )


def _end(tile: Tile) -> int:
    """The first leaf to the right of a full tile."""
    width: int = TILE_WIDTH ** (tile.level + 1)
    return (tile.index + 1) * width
