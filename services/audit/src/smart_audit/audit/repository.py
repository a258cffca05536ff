"""The queries of audit. They see one organisation: row-level security hides all others."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from smart_audit.audit import append as appending
from smart_audit.audit.domain import (
    Entry,
    Event,
    EventId,
    Filter,
    OrganisationId,
    Position,
    Recorded,
)
from smart_audit.audit.errors import LogDamaged
from smart_audit.audit.leaves import to_event
from smart_audit.audit.tables import (
    checkpoint_keys,
    disclosures,
    entries,
    entry_targets,
    logs,
    tiles,
)
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.disclosure import LeafError
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.tiles import TILE_WIDTH, Tile

CHECKPOINT_KEYS_LOCK = 0x5341_0003

RECORDED = select(
    entries.c.log_index,
    entries.c.event_id,
    entries.c.recorded_at,
    entries.c.tree_size,
    entries.c.leaf,
    entries.c.leaf_hash,
    disclosures.c.disclosures,
).join(
    disclosures,
    and_(
        disclosures.c.organisation_id == entries.c.organisation_id,
        disclosures.c.recorded_at == entries.c.recorded_at,
        disclosures.c.log_index == entries.c.log_index,
    ),
    isouter=True,
)


class Database:
    """Opens transactions in the name of one organisation."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sessions = async_sessionmaker(engine)

    @asynccontextmanager
    async def begin(self, organisation_id: OrganisationId) -> AsyncIterator["LogReader"]:
        """One transaction on the log of one organisation."""
        async with self._sessions.begin() as session:
            setting = func.set_config("audit.organisation_id", str(organisation_id), True)  # noqa: FBT003
            await session.execute(select(setting))
            yield LogReader(session, organisation_id)

    async def append(
        self, organisation_id: OrganisationId, batch: Sequence[Entry]
    ) -> appending.Appended:
        """Append a batch of entries, durable on return."""
        async with self._engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            if raw is None:
                raise RuntimeError("the pool gave a connection that is closed")
            return await appending.append(raw, organisation_id, batch)

    async def ensure_partitions(self, at: datetime) -> None:
        """Make the partitions that events recorded at `at` and in the month after it need."""
        async with self._sessions.begin() as session:
            await session.execute(select(func.audit.ensure_partitions(at)))

    async def checkpoint_key(self, new: tuple[bytes, bytes], at: datetime) -> bytes:
        """The newest sealed checkpoint key; `new`, (public, sealed), becomes the first one."""
        newest = (
            select(checkpoint_keys.c.sealed_private_key)
            .order_by(checkpoint_keys.c.created_at.desc())
            .limit(1)
        )
        async with self._sessions.begin() as session:
            await session.execute(select(func.pg_advisory_xact_lock(CHECKPOINT_KEYS_LOCK)))
            sealed: bytes | None = await session.scalar(newest)
            if sealed is not None:
                return sealed
            public_key, sealed = new
            await session.execute(
                insert(checkpoint_keys).values(
                    public_key=public_key, sealed_private_key=sealed, created_at=at
                )
            )
            return sealed


class LogReader:
    """Reads one log in one transaction."""

    def __init__(self, session: AsyncSession, organisation_id: OrganisationId) -> None:
        self._session = session
        self._organisation_id = organisation_id

    async def head(self) -> CompactRange:
        """The log's state; empty for an organisation that has recorded nothing yet."""
        statement = select(logs.c.size, logs.c.compact_range).where(
            logs.c.organisation_id == self._organisation_id
        )
        row = (await self._session.execute(statement)).one_or_none()
        return CompactRange.empty() if row is None else CompactRange.from_bytes(*row)

    async def get(self, event_id: EventId) -> Recorded | None:
        """One event by id. Raises: LogDamaged."""
        statement = self._recorded().where(entries.c.event_id == event_id)
        row = (await self._session.execute(statement)).one_or_none()
        return None if row is None else _recorded(row)

    async def at(self, indexes: Iterable[int]) -> dict[int, Recorded]:
        """Events by their place in the log. Raises: LogDamaged."""
        statement = self._recorded().where(entries.c.log_index.in_(list(indexes)))
        return {row.log_index: _recorded(row) for row in await self._session.execute(statement)}

    async def place(self, event_id: EventId) -> int | None:
        """An event's place in the log."""
        statement = select(entries.c.log_index).where(
            entries.c.organisation_id == self._organisation_id, entries.c.event_id == event_id
        )
        index: int | None = await self._session.scalar(statement)
        return index

    async def page(self, narrow: Filter, after: Position | None, limit: int) -> list[Recorded]:
        """The next events in order of (occurred_at, log_index), the latest first.

        Raises: LogDamaged.
        """
        statement = _narrowed(self._recorded(), narrow)
        if after is not None:
            key = tuple_(entries.c.occurred_at, entries.c.log_index)
            statement = statement.where(key < (after.occurred_at, after.log_index))
        statement = statement.order_by(
            entries.c.occurred_at.desc(), entries.c.log_index.desc()
        ).limit(limit)
        return [_recorded(row) for row in await self._session.execute(statement)]

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
            for row in await self._session.execute(statement)
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
        return b"".join(await self._session.scalars(statement))

    def _recorded(self) -> Select[Any]:
        return RECORDED.where(entries.c.organisation_id == self._organisation_id)


def _narrowed(statement: Select[Any], narrow: Filter) -> Select[Any]:
    equal = {
        entries.c.actor_id: narrow.actor_id,
        entries.c.action: narrow.action,
        entries.c.outcome: narrow.outcome,
    }
    for column, value in equal.items():
        if value is not None:
            statement = statement.where(column == value)
    if narrow.occurred_from is not None:
        statement = statement.where(entries.c.occurred_at >= narrow.occurred_from)
    if narrow.occurred_before is not None:
        statement = statement.where(entries.c.occurred_at < narrow.occurred_before)
    if narrow.target_id is not None:
        statement = statement.join(
            entry_targets,
            and_(
                entry_targets.c.organisation_id == entries.c.organisation_id,
                entry_targets.c.log_index == entries.c.log_index,
                entry_targets.c.occurred_at == entries.c.occurred_at,
            ),
        ).where(entry_targets.c.target_id == narrow.target_id)
    return statement


def _recorded(row: Row[Any]) -> Recorded:
    """Raises: LogDamaged when the stored bytes are not those that were recorded."""
    stored = row.disclosures or []
    try:
        event, recorded_at = to_event(row.leaf, stored)
        damage = _mismatch(row, event, recorded_at)
    except (LeafError, KeyError, TypeError, ValueError) as error:
        damage = str(error)
    if damage:
        raise LogDamaged(
            f"entry {row.log_index} of the log is damaged: {damage}",
            log_index=str(row.log_index),
            event_id=str(row.event_id),
        )
    return Recorded(
        event, row.log_index, recorded_at, row.tree_size, row.leaf, row.leaf_hash, stored
    )


def _mismatch(row: Row[Any], event: Event, recorded_at: datetime) -> str:
    if leaf_hash(row.leaf) != row.leaf_hash:
        return "the leaf does not match its hash"
    if (event.id, recorded_at) != (row.event_id, row.recorded_at):
        return "the leaf tells of another event"
    return ""


def _end(tile: Tile) -> int:
    """The first leaf to the right of a full tile."""
    width: int = TILE_WIDTH ** (tile.level + 1)
    return (tile.index + 1) * width
