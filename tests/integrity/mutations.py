"""What somebody with all rights on the database may do to a table: a change, and where it shows."""

import string
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

from psycopg import sql

from smart_audit.audit.sealed import unpack

# Each table with its key, and with a column in whose order one may cut off an end.
TABLES: dict[str, tuple[tuple[str, ...], str]] = {
    "logs": (("organisation_id",), "organisation_id"),
    "entries": (("organisation_id", "log_index"), "log_index"),
    "payloads": (("organisation_id", "log_index", "recorded_at"), "log_index"),
    "entry_targets": (
        ("organisation_id", "log_index", "target_id", "occurred_at", "recorded_at"),
        "log_index",
    ),
    "tiles": (("organisation_id", "level", "tile_index"), "tile_index"),
    "checkpoints": (("organisation_id", "number"), "number"),
    "checkpoint_keys": (("number",), "number"),
    "subject_keys": (("organisation_id", "subject_type", "subject_id", "key_id"), "subject_id"),
    "log_settings": (("organisation_id",), "organisation_id"),
    "holds": (("organisation_id", "placed_at", "hold_id"), "placed_at"),
}
KINDS = ("flip", "swap", "reorder", "delete", "duplicate", "cut", "truncate")

NO_TRIGGERS = "SET LOCAL session_replication_role = replica;"

DROP_CONSTRAINTS = """
DO $$ DECLARE
    one record;
BEGIN
    SET LOCAL client_min_messages = error;
    FOR one IN SELECT conrelid::regclass AS of_table, conname FROM pg_constraint
        WHERE connamespace = 'audit'::regnamespace AND conrelid <> 0 AND conislocal
            AND coninhcount = 0 AND contype IN ('c', 'f', 'p', 'u', 'n')
        ORDER BY contype <> 'f', contype = 'n'
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', one.of_table, one.conname);
    END LOOP;
    DROP INDEX audit.subject_keys_live_idx;
END $$;
"""


@dataclass
class Done:
    """A change: the rows as they were and as they are, and what was done to them."""

    kind: str
    table: str
    column: str = ""
    before: list[dict[str, Any]] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows, each by its first and its last state."""
        return self.before + self.after

    def __str__(self) -> str:
        keys = [{name: row[name] for name in TABLES[self.table][0]} for row in self.rows[:4]]
        return f"{self.kind} {self.table}.{self.column} {keys}"


class Attacker:
    """Changes one thing in a transaction of the caller; all by the seed."""

    def __init__(self, connection: Any, random: Random) -> None:
        self._connection = connection
        self._random = random

    async def change(self) -> Done | None:
        """Do something; None if it turned out to change nothing."""
        table = self._random.choice(list(TABLES))
        kind = self._random.choice(KINDS)
        done: Done | None = await getattr(self, f"_{kind}")(table)
        return done

    async def _flip(self, table: str) -> Done | None:
        row, place = await self._pick(table)
        column = self._random.choice(list(row))
        value = self._flipped(row, column)
        if value == row[column]:
            return None
        return await self._set("flip", table, column, [(row, place, value)])

    async def _swap(self, table: str, column: str = "", kind: str = "swap") -> Done | None:
        (one, here), (two, there) = await self._pick(table), await self._pick(table)
        column = column or self._random.choice(list(one))
        if one[column] == two[column]:
            return None
        changes = [(one, here, two[column]), (two, there, one[column])]
        return await self._set(kind, table, column, changes)

    async def _reorder(self, table: str) -> Done | None:
        return await self._swap(table, TABLES[table][1], "reorder")

    async def _delete(self, table: str) -> Done:
        row, place = await self._pick(table)
        await self._run("DELETE FROM {} WHERE tableoid = %s AND ctid = %s", table, place)
        return Done("delete", table, "", [row])

    async def _duplicate(self, table: str) -> Done:
        row, _ = await self._pick(table)
        copy = dict(row)
        column = self._random.choice(["", *TABLES[table][0]])
        if column:
            copy[column] = self._flipped(row, column)
        names = sql.SQL(", ").join(map(sql.Identifier, copy))
        values = sql.SQL(", ").join([sql.Placeholder()] * len(copy))
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(_name(table), names, values)
        await self._connection.execute(statement, list(copy.values()))
        return Done("duplicate", table, column, [row], [copy])

    async def _cut(self, table: str) -> Done:
        """Delete all rows from one on, of one organisation if the table has them."""
        row, _ = await self._pick(table)
        column = TABLES[table][1]
        where = sql.SQL("{} >= %(value)s").format(sql.Identifier(column))
        if "organisation_id" in row:
            where += sql.SQL(" AND organisation_id = %(organisation_id)s")
        gone = await self._gone(table, where, {**row, "value": row[column]})
        return Done("cut", table, "", gone)

    async def _truncate(self, table: str) -> Done:
        return Done("truncate", table, "", await self._gone(table, sql.SQL("true"), {}))

    async def _gone(self, table: str, where: sql.Composable, values: Any) -> list[dict[str, Any]]:
        statement = sql.SQL("DELETE FROM {} WHERE {} RETURNING *").format(_name(table), where)
        cursor = await self._connection.execute(statement, values)
        return [_as_dict(cursor, row) for row in await cursor.fetchall()]

    async def _pick(self, table: str) -> tuple[dict[str, Any], list[Any]]:
        """Any row, and where it lies."""
        keys = sql.SQL(", ").join(map(sql.Identifier, TABLES[table][0]))
        cursor = await self._connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(_name(table))
        )
        ((count,),) = await cursor.fetchall()
        statement = sql.SQL(
            "SELECT tableoid, ctid::text, * FROM {} ORDER BY {} OFFSET %s LIMIT 1"
        ).format(_name(table), keys)
        cursor = await self._connection.execute(statement, [self._random.randrange(count)])
        found = _as_dict(cursor, await cursor.fetchone())
        return found, [found.pop("tableoid"), found.pop("ctid")]

    async def _set(self, kind: str, table: str, column: str, changes: Any) -> Done:
        before, after = [], []
        for row, place, value in changes:
            statement = "UPDATE {} SET {} = %s WHERE tableoid = %s AND ctid = %s"
            await self._run(statement, table, [value, *place], column)
            before.append(row)
            after.append({**row, column: value})
        return Done(kind, table, column, before, after)

    async def _run(self, statement: str, table: str, values: Any, *columns: str) -> None:
        composed = sql.SQL(statement).format(_name(table), *map(sql.Identifier, columns))
        cursor = await self._connection.execute(composed, values)
        assert cursor.rowcount == 1

    def _flipped(self, row: dict[str, Any], column: str) -> Any:
        """Another value, which differs as little as can be; now and then none."""
        random, value = self._random, row[column]
        if value is None or column == "cosignatures":
            return _OTHERWISE.get(column, lambda _: None)(random)
        if random.random() < 0.05:
            return None
        changed: Any
        match value:
            case bool():
                changed = not value
            case int():
                changed = value ^ (1 << random.randrange(12))
            case bytes():
                changed = self._bit_flipped(value, _readable_part(row, column))
            case str():
                at = random.randrange(len(value) + 1)
                changed = value[:at] + random.choice(string.ascii_letters) + value[at + 1 :]
            case UUID():
                changed = UUID(int=value.int ^ (1 << random.randrange(128)))
            case datetime():
                changed = value + timedelta(microseconds=random.choice([-1, 1, 1000, -1_000_000]))
        return changed

    def _bit_flipped(self, value: bytes, part: int) -> bytes:
        if not part:
            return b"\0"
        changed = bytearray(value)
        changed[self._random.randrange(part)] ^= 1 << self._random.randrange(8)
        return bytes(changed)


_OTHERWISE = {
    "wrapped_key": lambda random: random.randbytes(60),
    "erased_by": lambda _: uuid4(),
    "cosignatures": lambda random: random.choice([["x"], None, ["a", "b"]]),
    "released_at": lambda _: datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
    "subject_type": lambda _: "user",
    "subject_id": lambda _: "u_1",
    "target_id": lambda _: "d_1",
    "period_from": lambda _: datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
    "period_before": lambda _: datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
}


def _readable_part(row: dict[str, Any], column: str) -> int:
    """How many bytes from the start of a value say something.

    Nobody can tell whether the ciphertext of an erased person was changed: the key that would open
    it is gone, and so is what it said. What stays in the open before it is checked.
    """
    value: bytes = row[column]
    if column != "disclosures" or not value:
        return len(value)
    return len(next(unpack(value)).header)


def _name(table: str) -> sql.Identifier:
    return sql.Identifier("audit", table)


def _as_dict(cursor: Any, row: Any) -> dict[str, Any]:
    return dict(zip([column.name for column in cursor.description], row, strict=True))
