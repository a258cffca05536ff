"""Fills a log by COPY, so that it is as large in minutes as another one after months.

The rows are as the service writes them, in size, hashes, tiles and MACs. Only the leaves are made
up: each is that of one real event and a few bytes of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.events import ACTIONS, ACTORS, TARGETS
from smart_audit.audit.entry_mac import Authenticate, entry_mac
from smart_audit.core.ids import new_id, utc_now
from smart_audit.tlog.append import Growth, grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.tiles import TILE_SIZE, TILE_WIDTH, tile_root

CHUNK = 16_384  # events in a transaction
OUTCOME_SUCCESS = 1

COLUMNS = {
    "entries": "organisation_id uuid, log_index int8, event_id uuid, recorded_at timestamptz,"
    " tree_size int8, tree_root bytea, leaf_hash bytea, mac bytea",
    "payloads": "organisation_id uuid, recorded_at timestamptz, log_index int8,"
    " occurred_at timestamptz, action text, actor_id text, outcome int2, permanent bool,"
    " leaf bytea, disclosures bytea",
    "entry_targets": "organisation_id uuid, target_id text, occurred_at timestamptz,"
    " log_index int8, recorded_at timestamptz",
    "tiles": "organisation_id uuid, level int2, tile_index int8, hashes bytea, root bytea",
}

HEAD = "SELECT size, compact_range FROM audit.logs WHERE organisation_id = %s FOR UPDATE"
LEAF_HASHES = "SELECT leaf_hash FROM audit.entries WHERE organisation_id = %s ORDER BY log_index"
LARGEST = """
SELECT leaf, disclosures FROM audit.payloads WHERE organisation_id = %s
ORDER BY length(leaf) DESC LIMIT 1
"""
GROWN = "UPDATE audit.logs SET size = %s, compact_range = %s WHERE organisation_id = %s"

Connection = psycopg.Connection[Any]
Rows = Iterator[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class _Made:
    """An event that is made up."""

    event_id: UUID
    recorded_at: datetime
    leaf: bytes
    leaf_hash: bytes


@dataclass(slots=True)
class _Level:
    """A level of tiles: how many are full, and the hashes of the one that is not."""

    full: int = 0
    rest: bytes = b""


def fill(
    connection: Connection, organisation_id: UUID, size: int, authenticate: Authenticate
) -> None:
    """Let a log grow to `size` entries; nobody else may append to it meanwhile.

    connection: of the owner, in autocommit mode.
    authenticate: gives the MAC of a row, as the service would.

    Raises: ValueError for a log that holds no event yet, or a full tile already.
    """
    template = connection.execute(LARGEST, [organisation_id]).fetchone()
    hashes = [row[0] for row in connection.execute(LEAF_HASHES, [organisation_id])]
    if template is None or len(hashes) >= TILE_WIDTH:
        raise ValueError(f"the log has {len(hashes)} entries, not 1 to {TILE_WIDTH - 1}")
    levels = [_Level(rest=b"".join(hashes))]
    for first in range(len(hashes), size, CHUNK):
        made = _make(template[0], min(CHUNK, size - first))
        with connection.transaction():
            _append(connection, organisation_id, made, template[1], levels, authenticate)


def _make(template: bytes, count: int) -> list[_Made]:
    now = utc_now()
    made = []
    for _ in range(count):
        event_id = new_id()
        leaf = template + event_id.bytes
        made.append(_Made(event_id, now, leaf, leaf_hash(leaf)))
    return made


def _append(
    connection: Connection,
    organisation_id: UUID,
    made: Sequence[_Made],
    disclosures: bytes,
    levels: list[_Level],
    authenticate: Authenticate,
) -> None:
    row = connection.execute(HEAD, [organisation_id]).fetchone()
    assert row is not None
    growth = grow(CompactRange.from_bytes(*row), [one.leaf_hash for one in made])
    first = growth.before.size
    _copy(connection, "entries", _entries(organisation_id, made, growth, authenticate))
    _copy(connection, "payloads", _payloads(organisation_id, made, first, disclosures))
    _copy(connection, "entry_targets", _targets(organisation_id, made, first))
    tiles = _full_tiles(levels, 0, b"".join(one.leaf_hash for one in made))
    _copy(connection, "tiles", ((organisation_id, *tile) for tile in tiles))
    after = growth.after
    connection.execute(GROWN, [after.size, after.to_bytes(), organisation_id])


def _entries(
    organisation_id: UUID, made: Sequence[_Made], growth: Growth, authenticate: Authenticate
) -> Rows:
    size, root = growth.after.size, growth.root
    for index, one in enumerate(made, growth.before.size):
        place = (organisation_id, index, one.event_id, one.recorded_at, size, root, one.leaf_hash)
        yield *place, entry_mac(authenticate, *place, permanent=False)


def _payloads(organisation_id: UUID, made: Sequence[_Made], first: int, disclosures: bytes) -> Rows:
    random = Random(first)
    for index, one in enumerate(made, first):
        at, actor = one.recorded_at, f"user-{random.randrange(ACTORS):06}"
        facts = (random.choice(ACTIONS), actor, OUTCOME_SUCCESS, False)
        yield organisation_id, at, index, at, *facts, one.leaf, disclosures


def _targets(organisation_id: UUID, made: Sequence[_Made], first: int) -> Rows:
    random = Random(first)
    for index, one in enumerate(made, first):
        target = f"document-{random.randrange(TARGETS):08}"
        yield organisation_id, target, one.recorded_at, index, one.recorded_at


def _full_tiles(levels: list[_Level], number: int, hashes: bytes) -> Rows:
    """The tiles that become full by hashes of a level: (level, index, hashes, root) of each."""
    if number == len(levels):
        levels.append(_Level())
    level, roots = levels[number], b""
    level.rest += hashes
    while len(level.rest) >= TILE_SIZE:
        tile, level.rest = level.rest[:TILE_SIZE], level.rest[TILE_SIZE:]
        root = tile_root(tile)
        yield number, level.full, tile, root
        level.full += 1
        roots += root
    if roots:
        yield from _full_tiles(levels, number + 1, roots)


def _copy(connection: Connection, table: str, rows: Rows) -> None:
    names, types = zip(*(column.split() for column in COLUMNS[table].split(",")), strict=True)
    statement = f"COPY audit.{table} ({', '.join(names)}) FROM STDIN (FORMAT binary)"
    with connection.cursor().copy(statement.encode()) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
