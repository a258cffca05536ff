"""The append: the one path that is raw psycopg instead of SQLAlchemy.

Reason: speed. A batch costs three round trips: lock the head and look for repetitions, insert all
rows by one statement, commit; rows travel as binary arrays. COPY would be faster still, but
PostgreSQL does not allow COPY FROM on tables with row-level security, and that guard is worth more.
A pipeline would save round trips, but psycopg 3.3 may stop flushing one before all of it is sent:
with some megabytes of rows both ends then wait for ever.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor

from smart_audit.audit import arrays
from smart_audit.audit.domain import Entry, KeyId, OrganisationId
from smart_audit.audit.entry_mac import Authenticate, entry_mac
from smart_audit.tlog.append import Growth, grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.tiles import TILE_WIDTH, completed_tiles, tile_root

# As text and not prepared, so that one round trip begins the transaction and locks the log. All of
# it is UUIDs of ours.
OPEN = """
BEGIN; SELECT * FROM audit.open_log('{organisation_id}', '{{{event_ids}}}', '{{{key_ids}}}')
"""

# All that a batch changes, in one statement, which also announces the log's growth: Postgres tells
# all that listen once the transaction has committed (see `log_feed.py`).
INSERT = """
WITH new_entries AS (
    INSERT INTO audit.entries (organisation_id, log_index, event_id, recorded_at, tree_size,
        tree_root, leaf_hash, mac)
    SELECT %(organisation_id)s, new.log_index, new.event_id, new.recorded_at, %(size)s,
        %(root)s, new.leaf_hash, new.mac
    FROM unnest(%(indexes)s, %(event_ids)s, %(recorded)s, %(leaf_hashes)s, %(macs)s)
        AS new (log_index, event_id, recorded_at, leaf_hash, mac)
), new_payloads AS (
    INSERT INTO audit.payloads (organisation_id, recorded_at, log_index, occurred_at, action,
        actor_id, outcome, permanent, leaf, disclosures)
    SELECT %(organisation_id)s, new.*
    FROM unnest(%(recorded)s, %(indexes)s, %(occurred)s, %(actions)s, %(actor_ids)s,
        %(outcomes)s, %(permanent)s, %(leaves)s, %(disclosures)s) AS new
), new_targets AS (
    INSERT INTO audit.entry_targets (organisation_id, target_id, occurred_at, log_index,
        recorded_at)
    SELECT %(organisation_id)s, new.*
    FROM unnest(%(target_ids)s, %(target_occurred)s, %(target_indexes)s, %(target_recorded)s)
        AS new
), new_tiles AS (
    INSERT INTO audit.tiles (organisation_id, level, tile_index, hashes, root)
    SELECT %(organisation_id)s, new.*
    FROM unnest(%(tile_levels)s, %(tile_indexes)s, %(tile_hashes)s, %(tile_roots)s) AS new
)
UPDATE audit.logs SET size = %(size)s, compact_range = %(compact_range)s
WHERE organisation_id = %(organisation_id)s
RETURNING pg_notify('audit_appended', organisation_id::text)
"""

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


class KeysDestroyed(Exception):
    """Entries of the batch are sealed under keys that have been destroyed; nothing was appended."""

    def __init__(self, key_ids: Sequence[KeyId]) -> None:
        super().__init__("subject keys have been destroyed")
        self.key_ids = key_ids


class RegistryChanged(Exception):
    """Events were held against another version of the registry than the one in force.

    Nothing was appended.
    """


Effect = Callable[[AsyncCursor[Any]], Awaitable[None]]


def in_turn(*effects: Effect) -> Effect:
    """Several effects as one."""

    async def effect(cursor: AsyncCursor[Any]) -> None:
        for one in effects:
            await one(cursor)

    return effect


async def append(
    connection: AsyncConnection[Any],
    organisation_id: OrganisationId,
    batch: Sequence[Entry],
    authenticate: Authenticate,
    effect: Effect | None = None,
) -> Appended:
    """Append entries to a log in one transaction, which is committed on return.

    connection: one in autocommit mode that takes columns (see `arrays.register`).
    authenticate: gives the MAC of a row.
    effect: run in the same transaction once the log is locked, for what the entries tell of.

    Raises: KeysDestroyed, RegistryChanged, and what the effect raises.
    """
    async with connection.cursor() as cursor:
        try:
            head, known = await _lock(cursor, organisation_id, batch)
            indexes: list[int] = []
            fresh: dict[int, Entry] = {}
            for entry in batch:
                index = known.setdefault(entry.event.id, head.size + len(fresh))
                if index == head.size + len(fresh):
                    fresh[index] = entry
                indexes.append(index)
            if effect is not None:
                await effect(cursor)
            growth = grow(head, [entry.leaf_hash for entry in fresh.values()])
            if fresh:
                await _insert(cursor, organisation_id, fresh, growth, authenticate)
            await cursor.execute("COMMIT")
        except Exception:
            if not connection.closed:
                await connection.rollback()
            raise
    return Appended(growth, indexes, fresh)


async def _lock(
    cursor: AsyncCursor[Any], organisation_id: OrganisationId, batch: Sequence[Entry]
) -> tuple[CompactRange, dict[UUID, int]]:
    """Lock the log's head: (the head, index by id of the batch's events that the log holds).

    Raises: KeysDestroyed, RegistryChanged.
    """
    event_ids = ",".join([entry.event.id.hex for entry in batch])
    key_ids = ",".join({key_id.hex for entry in batch for key_id in entry.key_ids})
    statement = OPEN.format(organisation_id=organisation_id, event_ids=event_ids, key_ids=key_ids)
    await cursor.execute(statement.encode())
    cursor.nextset()
    row = await cursor.fetchone()
    if row is None:
        raise RuntimeError("audit.open_log gave no row")
    size, compact_range, known_ids, known_indexes, destroyed, version = row
    if destroyed:
        raise KeysDestroyed(destroyed)
    if {entry.registry for entry in batch} - {None, version}:
        raise RegistryChanged
    known = dict(zip(known_ids or (), known_indexes or (), strict=True))
    return CompactRange.from_bytes(size, compact_range), known


async def _insert(
    cursor: AsyncCursor[Any],
    organisation_id: OrganisationId,
    fresh: dict[int, Entry],
    growth: Growth,
    authenticate: Authenticate,
) -> None:
    entries = list(fresh.values())
    events = [entry.event for entry in entries]
    targets = [
        (target_id, entry.event.occurred_at, index, entry.recorded_at)
        for index, entry in fresh.items()
        for target_id in {target.id for target in entry.event.targets}
    ]
    tiles = await _tile_rows(cursor, organisation_id, fresh, growth)
    await cursor.execute(
        INSERT,
        {
            "organisation_id": organisation_id,
            "size": growth.after.size,
            "root": growth.root,
            "compact_range": growth.after.to_bytes(),
            "indexes": arrays.bigints(list(fresh)),
            "event_ids": arrays.uuids([event.id for event in events]),
            "occurred": arrays.times([event.occurred_at for event in events]),
            "recorded": arrays.times([entry.recorded_at for entry in entries]),
            "actions": arrays.texts([event.action for event in events]),
            "actor_ids": arrays.texts([event.actor.id for event in events]),
            "outcomes": arrays.smallints([event.outcome for event in events]),
            "permanent": arrays.booleans([entry.permanent for entry in entries]),
            "leaves": arrays.byteas([entry.leaf for entry in entries]),
            "leaf_hashes": arrays.byteas([entry.leaf_hash for entry in entries]),
            "macs": arrays.byteas(_macs(organisation_id, fresh, growth, authenticate)),
            "disclosures": arrays.byteas([entry.sealed for entry in entries]),
            "target_ids": arrays.texts([row[0] for row in targets]),
            "target_occurred": arrays.times([row[1] for row in targets]),
            "target_indexes": arrays.bigints([row[2] for row in targets]),
            "target_recorded": arrays.times([row[3] for row in targets]),
            "tile_levels": arrays.smallints([row[0] for row in tiles]),
            "tile_indexes": arrays.bigints([row[1] for row in tiles]),
            "tile_hashes": arrays.byteas([row[2] for row in tiles]),
            "tile_roots": arrays.byteas([row[3] for row in tiles]),
        },
    )


def _macs(
    organisation_id: OrganisationId,
    fresh: dict[int, Entry],
    growth: Growth,
    authenticate: Authenticate,
) -> list[bytes]:
    size, root = growth.after.size, growth.root
    return [
        entry_mac(
            authenticate,
            organisation_id,
            index,
            entry.event.id,
            entry.recorded_at,
            size,
            root,
            entry.leaf_hash,
            permanent=entry.permanent,
        )
        for index, entry in fresh.items()
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
