"""Fills a log by COPY, so that it is as large in minutes as another one after months.

The rows are as the service writes them, with their hashes, tiles and MACs. `fill` makes leaves up:
each is that of one real event and a few bytes of its own. `trail_filling.py` fills a log with
events that can be opened.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, NamedTuple
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
Columns = Iterator[tuple[object, ...]]


class Row(NamedTuple):
    """An entry on its way into the log, without its place there."""

    event_id: UUID
    recorded_at: datetime
    occurred_at: datetime
    action: str
    actor_id: str
    outcome: int
    leaf: bytes
    leaf_hash: bytes
    disclosures: bytes
    """Sealed."""
    target_ids: tuple[str, ...]
    """Each once."""


@dataclass(slots=True)
class _Level:
    """A level of tiles: how many are full, and the hashes of the one that is not."""

    full: int = 0
    rest: bytes = b""


class Filling:
    """Appends to a log that holds less than a tile; nobody else may append to it meanwhile.

    connection: of the owner, in autocommit mode.
    authenticate: gives the MAC of a row, as the service would.

    Raises: ValueError for a log that has a full tile already.
    """

    def __init__(
        self, connection: Connection, organisation_id: UUID, authenticate: Authenticate
    ) -> None:
        hashes = [row[0] for row in connection.execute(LEAF_HASHES, [organisation_id])]
        if len(hashes) >= TILE_WIDTH:
            raise ValueError(f"the log has {len(hashes)} entries, more than {TILE_WIDTH - 1}")
        self.size = len(hashes)
        """How many entries the log has."""
        self._connection = connection
        self._organisation_id = organisation_id
        self._authenticate = authenticate
        self._levels = [_Level(rest=b"".join(hashes))]

    def append(self, rows: Sequence[Row]) -> None:
        """Append entries in one transaction."""
        with self._connection.transaction():
            row = self._connection.execute(HEAD, [self._organisation_id]).fetchone()
            if row is None:
                raise ValueError("the log holds no event yet")
            growth = grow(CompactRange.from_bytes(*row), [one.leaf_hash for one in rows])
            self._copy("entries", self._entries(rows, growth))
            self._copy("payloads", self._payloads(rows))
            self._copy("entry_targets", self._targets(rows))
            tiles = _full_tiles(self._levels, 0, b"".join(one.leaf_hash for one in rows))
            self._copy("tiles", ((self._organisation_id, *tile) for tile in tiles))
            self.size = growth.after.size
            after = (self.size, growth.after.to_bytes(), self._organisation_id)
            self._connection.execute(GROWN, after)

    def _entries(self, rows: Sequence[Row], growth: Growth) -> Columns:
        id_, size, root = self._organisation_id, growth.after.size, growth.root
        for index, one in enumerate(rows, self.size):
            place = (id_, index, one.event_id, one.recorded_at, size, root, one.leaf_hash)
            yield *place, entry_mac(self._authenticate, *place, permanent=False)

    def _payloads(self, rows: Sequence[Row]) -> Columns:
        for index, one in enumerate(rows, self.size):
            facts = (one.occurred_at, one.action, one.actor_id, one.outcome, False)
            place = (self._organisation_id, one.recorded_at, index)
            yield *place, *facts, one.leaf, one.disclosures

    def _targets(self, rows: Sequence[Row]) -> Columns:
        for index, one in enumerate(rows, self.size):
            for target in one.target_ids:
                yield self._organisation_id, target, one.occurred_at, index, one.recorded_at

    def _copy(self, table: str, rows: Columns) -> None:
        copy_rows(self._connection, table, COLUMNS[table], rows)


def copy_rows(
    connection: Connection, table: str, columns: str, rows: Iterable[tuple[object, ...]]
) -> None:
    """COPY rows into a table of audit; columns: their names and types."""
    names, types = zip(*(column.split() for column in columns.split(",")), strict=True)
    statement = f"COPY audit.{table} ({', '.join(names)}) FROM STDIN (FORMAT binary)"
    with connection.cursor().copy(statement.encode()) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def fill(
    connection: Connection, organisation_id: UUID, size: int, authenticate: Authenticate
) -> None:
    """Let a log grow to `size` entries, whose leaves are made up; see `Filling`.

    Raises: ValueError for a log that holds no event yet, or a full tile already.
    """
    row = connection.execute(LARGEST, [organisation_id]).fetchone()
    if row is None:
        raise ValueError("the log holds no event yet")
    leaf, disclosures = row
    filling = Filling(connection, organisation_id, authenticate)
    while filling.size < size:
        count = min(CHUNK, size - filling.size)
        filling.append(_made_up(leaf, disclosures, filling.size, count))


def _made_up(leaf_start: bytes, disclosures: bytes, first: int, count: int) -> list[Row]:
    random, now = Random(first), utc_now()
    rows = []
    for _ in range(count):
        event_id = new_id()
        leaf = leaf_start + event_id.bytes
        actor = f"user-{random.randrange(ACTORS):06}"
        facts = (now, now, random.choice(ACTIONS), actor, OUTCOME_SUCCESS)
        target = f"document-{random.randrange(TARGETS):08}"
        rows.append(Row(event_id, *facts, leaf, leaf_hash(leaf), disclosures, (target,)))
    return rows


def _full_tiles(levels: list[_Level], number: int, hashes: bytes) -> Columns:
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
