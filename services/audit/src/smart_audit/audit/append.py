"""The append: the one path that is raw psycopg instead of SQLAlchemy.

Reason: speed. A batch costs four round trips: lock the head, look for repetitions, insert all rows
by one statement, commit; rows travel as binary arrays. COPY would be faster still, but PostgreSQL
does not allow COPY FROM on tables with row-level security, and that guard is worth more. A pipeline
would save round trips, but psycopg 3.3 may stop flushing one before all of it is sent: with some
megabytes of rows both ends then wait for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from smart_audit.audit.domain import Entry, OrganisationId
from smart_audit.tlog.append import Growth, grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.tiles import TILE_WIDTH, completed_tiles, tile_root

SET_ORGANISATION = "SELECT set_config('audit.organisation_id', %s, true)"

NEW_LOG = """
INSERT INTO audit.logs (organisation_id, size, compact_range) VALUES (%s, 0, '')
ON CONFLICT DO NOTHING
"""

# Lock the head row first: two appends that read the same head would fork the log, and no later
# check could choose between the branches.
LOCK_HEAD = "SELECT size, compact_range FROM audit.logs WHERE organisation_id = %s FOR UPDATE"

REPETITIONS = """
SELECT event_id, log_index FROM audit.entries
WHERE organisation_id = %s AND event_id = ANY(%b::uuid[])
"""

# All that a batch changes, in one statement. Disclosures are base64url, so a comma can join those
# of one event, and an array of arrays of different lengths is not needed.
INSERT = """
WITH new_entries AS (
    INSERT INTO audit.entries (organisation_id, log_index, event_id, occurred_at, recorded_at,
        action, actor_id, outcome, tree_size, leaf, leaf_hash)
    SELECT %(organisation_id)s, new.log_index, new.event_id, new.occurred_at, new.recorded_at,
        new.action, new.actor_id, new.outcome, %(size)s, new.leaf, new.leaf_hash
    FROM unnest(%(indexes)b::bigint[], %(event_ids)b::uuid[], %(occurred)b::timestamptz[],
        %(recorded)b::timestamptz[], %(actions)b::text[], %(actor_ids)b::text[],
        %(outcomes)b::smallint[], %(leaves)b::bytea[], %(leaf_hashes)b::bytea[])
        AS new (log_index, event_id, occurred_at, recorded_at, action, actor_id, outcome, leaf,
            leaf_hash)
), new_disclosures AS (
    INSERT INTO audit.disclosures (organisation_id, recorded_at, log_index, disclosures)
    SELECT %(organisation_id)s, new.recorded_at, new.log_index,
        string_to_array(new.disclosures, ',')
    FROM unnest(%(recorded)b::timestamptz[], %(indexes)b::bigint[], %(disclosures)b::text[])
        AS new (recorded_at, log_index, disclosures)
), new_targets AS (
    INSERT INTO audit.entry_targets (organisation_id, target_id, occurred_at, log_index)
    SELECT %(organisation_id)s, new.target_id, new.occurred_at, new.log_index
    FROM unnest(%(target_ids)b::text[], %(target_times)b::timestamptz[],
        %(target_indexes)b::bigint[]) AS new (target_id, occurred_at, log_index)
), new_tiles AS (
    INSERT INTO audit.tiles (organisation_id, level, tile_index, hashes, root)
    SELECT %(organisation_id)s, new.level, new.tile_index, new.hashes, new.root
    FROM unnest(%(tile_levels)b::smallint[], %(tile_indexes)b::bigint[],
        %(tile_hashes)b::bytea[], %(tile_roots)b::bytea[])
        AS new (level, tile_index, hashes, root)
)
UPDATE audit.logs SET size = %(size)s, compact_range = %(compact_range)s
WHERE organisation_id = %(organisation_id)s
"""

TILE_COLUMNS = ("tile_levels", "tile_indexes", "tile_hashes", "tile_roots")

TAIL_LEAF_HASHES = """
SELECT leaf_hash FROM audit.entries
WHERE organisation_id = %s AND log_index >= %s ORDER BY log_index
"""

TILE_ROOTS = """
SELECT root FROM audit.tiles
WHERE organisation_id = %s AND level = %s AND tile_index >= %s ORDER BY tile_index
"""


@dataclass(frozen=True, slots=True)
class Appended:
    """What a batch came to: the growth of the log, and each entry's place in it.

    `indexes` has one place per entry of the batch, in its order. Repetitions of what the log or
    the batch already holds have the place of the first; `fresh` holds the entries that are new.
    """

    growth: Growth
    indexes: list[int]
    fresh: dict[int, Entry]


async def append(
    connection: AsyncConnection[Any], organisation_id: OrganisationId, batch: Sequence[Entry]
) -> Appended:
    """Append entries to a log in one transaction, which is committed on return."""
    async with connection.cursor() as cursor:
        head, known = await _lock(cursor, organisation_id, batch)
        indexes: list[int] = []
        fresh: dict[int, Entry] = {}
        for entry in batch:
            index = known.setdefault(entry.event.id, head.size + len(fresh))
            if index == head.size + len(fresh):
                fresh[index] = entry
            indexes.append(index)
        growth = grow(head, [entry.leaf_hash for entry in fresh.values()])
        if fresh:
            await _insert(cursor, organisation_id, fresh, growth)
    await connection.commit()
    return Appended(growth, indexes, fresh)


async def _lock(
    cursor: AsyncCursor[Any], organisation_id: OrganisationId, batch: Sequence[Entry]
) -> tuple[CompactRange, dict[UUID, int]]:
    """Lock the log's head: (the head, index by id of the batch's events that the log holds)."""
    # Short enough for any socket's buffer, so that this much may be a pipeline.
    async with cursor.connection.pipeline():
        await cursor.execute(SET_ORGANISATION, [str(organisation_id)])
        await cursor.execute(LOCK_HEAD, [organisation_id])
    if (head := await cursor.fetchone()) is None:
        await cursor.execute(NEW_LOG, [organisation_id])
        return await _lock(cursor, organisation_id, batch)
    await cursor.execute(REPETITIONS, [organisation_id, [entry.event.id for entry in batch]])
    return CompactRange.from_bytes(*head), dict(await cursor.fetchall())


async def _insert(
    cursor: AsyncCursor[Any],
    organisation_id: OrganisationId,
    fresh: dict[int, Entry],
    growth: Growth,
) -> None:
    entries = list(fresh.values())
    events = [entry.event for entry in entries]
    targets = _columns(3, _targets(fresh))
    tiles = _columns(4, await _tile_rows(cursor, organisation_id, fresh, growth))
    await cursor.execute(
        INSERT,
        {
            "organisation_id": organisation_id,
            "size": growth.after.size,
            "compact_range": growth.after.to_bytes(),
            "indexes": list(fresh),
            "event_ids": [event.id for event in events],
            "occurred": [event.occurred_at for event in events],
            "recorded": [entry.recorded_at for entry in entries],
            "actions": [event.action for event in events],
            "actor_ids": [event.actor.id for event in events],
            "outcomes": [int(event.outcome) for event in events],
            "leaves": [entry.leaf for entry in entries],
            "leaf_hashes": [entry.leaf_hash for entry in entries],
            "disclosures": [",".join(entry.disclosures) for entry in entries],
            **dict(zip(("target_ids", "target_times", "target_indexes"), targets, strict=True)),
            **dict(zip(TILE_COLUMNS, tiles, strict=True)),
        },
    )


def _columns(width: int, rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(width)]


def _targets(fresh: dict[int, Entry]) -> list[tuple[str, datetime, int]]:
    return [
        (target_id, entry.event.occurred_at, index)
        for index, entry in fresh.items()
        for target_id in {target.id for target in entry.event.targets}
    ]


async def _tile_rows(
    cursor: AsyncCursor[Any],
    organisation_id: OrganisationId,
    fresh: dict[int, Entry],
    growth: Growth,
) -> list[tuple[int, int, bytes, bytes]]:
    """The tiles that this batch completes: (level, index, hashes, root) of each.

    A tile's hashes are those of the level below: new ones at hand, old ones read back, which
    happens once in 256 entries at the most.
    """
    hashes_at: dict[int, dict[int, bytes]] = {
        0: {index: entry.leaf_hash for index, entry in fresh.items()}
    }
    rows = []
    for tile in completed_tiles(growth.before.size, growth.after.size):
        below = hashes_at.setdefault(tile.level, {})
        first = tile.index * TILE_WIDTH
        if first not in below:
            await _read_back(cursor, organisation_id, tile.level, first, below)
        hashes = b"".join(below[position] for position in range(first, first + TILE_WIDTH))
        root = tile_root(hashes)
        hashes_at.setdefault(tile.level + 1, {})[tile.index] = root
        rows.append((tile.level, tile.index, hashes, root))
    return rows


async def _read_back(
    cursor: AsyncCursor[Any],
    organisation_id: OrganisationId,
    level: int,
    first: int,
    below: dict[int, bytes],
) -> None:
    """Read the hashes of a tile that were there before this batch."""
    if level == 0:
        await cursor.execute(TAIL_LEAF_HASHES, [organisation_id, first])
    else:
        await cursor.execute(TILE_ROOTS, [organisation_id, level - 1, first])
    stored = [row[0] for row in await cursor.fetchall()]
    below.update({first + offset: value for offset, value in enumerate(stored)})
