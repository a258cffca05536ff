"""Finding the events of one log that a filter asks for, page by page in order of time.

A filter may ask for what nearly every event is, or for what hardly any is, and statistics cannot
always tell which, nor whether it lies near. So the next events in order of time are looked through
first, as the index on time has them. Where none of them matches, what is asked for is rare or far
away, and all of it is gathered; where too few do, the planner decides. Where a filter asks for
kinds of event alone, and for few, each kind is looked up by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import FromClause, and_, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId, Position, Recorded
from smart_audit.audit.filters import And, Comparator, Condition, Expression, conjunction
from smart_audit.audit.repository.filter_sql import (
    COMPARED,
    Clause,
    condition,
    kinds_condition,
)
from smart_audit.audit.repository.level import level
from smart_audit.audit.repository.log_reader import LogReader
from smart_audit.audit.repository.sql_text import Text, as_text
from smart_audit.audit.tables import found_events, phrases
from smart_audit.audit.terms import TermKey
from smart_audit.audit.wrapping import Wrapping
from smart_audit.core.database import driver_of

PROBED = 500
"""Events that are looked through first."""
MOST_KINDS = 64
"""Kinds of event, at most, of which each is looked up by itself."""

# Conditions are put in as text (see `sql_text.py`); `way` is ASC or DESC.
KINDS = "SELECT phrase_id FROM audit.phrases WHERE {asked} LIMIT %(most)s"
ALL = """
SELECT occurred_at, log_index FROM audit.found_events WHERE {own} AND ({asked})
ORDER BY occurred_at {way}, log_index {way} LIMIT %(most)s
"""
FAR = """
WITH gathered AS MATERIALIZED (
    SELECT occurred_at, log_index FROM audit.found_events WHERE {own} AND ({asked})
)
SELECT occurred_at, log_index FROM gathered
ORDER BY occurred_at {way}, log_index {way} LIMIT %(most)s
"""
# Of each of some kinds the next ones, as the index on kinds and time has them.
OF_KINDS = """
SELECT next.occurred_at, next.log_index
FROM unnest(%(kinds)s::bigint[]) AS kinds (phrase_id)
CROSS JOIN LATERAL (
    SELECT occurred_at, log_index FROM audit.found_events
    WHERE {own} AND ({asked}) AND found_events.phrase_id = kinds.phrase_id
    ORDER BY occurred_at {way}, log_index {way} LIMIT %(most)s
) AS next
ORDER BY occurred_at {way}, log_index {way} LIMIT %(most)s
"""
PROBE = """
WITH probed AS (
    SELECT {columns} FROM audit.found_events WHERE {own}
    ORDER BY occurred_at {way}, log_index {way} LIMIT {probed}
)
(
    SELECT occurred_at, log_index, true FROM probed WHERE {asked}
    ORDER BY occurred_at {way}, log_index {way} LIMIT %(most)s
) UNION ALL (
    SELECT occurred_at, log_index, false FROM probed
    ORDER BY occurred_at {way}, log_index {way} OFFSET {probed} - 1
)
"""
_PROBED = found_events.alias("probed")

Statement = tuple[str, Mapping[str, Any]]
"""As text, and the values of its parameters by name."""

# The service's connections know no bitmaps and no sorts (see `opening.py`), which rare terms need.
# Each plan is made for its own terms, since some are in every event and some in none; and no plan
# is worth the start of further processes or of a compiler.
PLANNING = {
    "enable_bitmapscan": "on",
    "enable_sort": "on",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_custom_plan",
    # What is looked for is in memory as a rule; to compare arrays takes longer than other things.
    "random_page_cost": "1.1",
    "cpu_operator_cost": "0.02",
}


class EventFinder:
    """Finds events of one log by its projection, in one transaction with these settings."""

    def __init__(
        self,
        connection: AsyncConnection,
        organisation_id: OrganisationId,
        wrapping: Wrapping,
        key: TermKey,
    ) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        self._reader = LogReader(connection, organisation_id, wrapping)
        self._key = key

    async def is_level(self) -> bool:
        """Whether all that the log has is projected."""
        return (await level(self._connection, self._organisation_id)).is_reached

    async def page(
        self,
        expression: Expression | None,
        after: Position | None,
        limit: int,
        *,
        oldest_first: bool = False,
    ) -> list[Recorded]:
        """The next events in order of (occurred_at, log_index); fewer than `limit` at the end.

        expression: None asks for all. Raises: LogDamaged.
        """
        found: list[Recorded] = []
        while len(found) < limit:
            wanted = limit - len(found)
            places = await self.places(expression, after, wanted, oldest_first=oldest_first)
            recorded = await self._reader.recorded(place.log_index for place in places)
            # Retention may have removed the content of some a moment ago.
            indexes = [place.log_index for place in places if place.log_index in recorded]
            found += [recorded[index] for index in indexes]
            if len(places) < wanted:
                break
            after = places[-1]
        return found

    async def places(
        self,
        expression: Expression | None,
        after: Position | None,
        limit: int,
        *,
        oldest_first: bool = False,
    ) -> list[Position]:
        """Where the next events are, in order."""
        in_order, others = _split(expression)
        rows = _Rows(self._own(in_order, after, oldest_first=oldest_first), oldest_first)
        if others is None:
            return await self._read(*rows.all(limit))
        if _names_one(others):
            return await self._rest(rows, others, limit, near=False)
        kinds = None if _names_actor(in_order) else await self._kinds(others)
        if kinds is not None:
            return await self._read(*rows.of_kinds(kinds, limit))
        found, end = await self._probed(rows, others, limit)
        if end is None or len(found) == limit:
            return found
        rows = _Rows(self._own(in_order, end, oldest_first=oldest_first), oldest_first)
        missing = limit - len(found)
        return found + await self._rest(rows, others, missing, near=bool(found))

    async def _kinds(self, expression: Expression) -> list[int] | None:
        """The kinds of all events that match, where kinds alone decide it and they are few."""
        clause = kinds_condition(expression)
        if clause is None:
            return None
        asked = as_text((phrases.c.organisation_id == self._organisation_id) & clause, "kinds_")
        statement = KINDS.format(asked=asked.sql)
        found = await self._rows(statement, {**asked.values, "most": MOST_KINDS + 1})
        return [row[0] for row in found] if len(found) <= MOST_KINDS else None

    async def _probed(
        self, rows: "_Rows", others: Expression, limit: int
    ) -> tuple[list[Position], Position | None]:
        """What the next `PROBED` events have, and the last of them if there are so many."""
        statement, values = rows.probed(self._condition(others, _PROBED), limit)
        found: list[Position] = []
        end = None
        for occurred_at, log_index, hit in await self._rows(statement, values):
            position = Position(occurred_at, log_index)
            if hit:
                found.append(position)
            else:
                end = position
        return found, end

    async def _rest(
        self, rows: "_Rows", others: Expression, limit: int, *, near: bool
    ) -> list[Position]:
        """Those that match; near: whether there were some before them.

        If not, all that match are gathered: they are rare, or far away, and looking for them in
        order of time would go through the whole log.
        """
        clause = self._condition(others, found_events)
        return await self._read(*(rows.near if near else rows.far)(clause, limit))

    def _own(
        self, in_order: Expression | None, after: Position | None, *, oldest_first: bool
    ) -> Clause:
        """The log's events behind a position, as far as the indexes on time narrow them."""
        clauses = [found_events.c.organisation_id == self._organisation_id]
        if in_order is not None:
            clauses.append(self._condition(in_order, found_events))
        if after is not None:
            key = tuple_(found_events.c.occurred_at, found_events.c.log_index)
            place = (after.occurred_at, after.log_index)
            clauses.append(key > place if oldest_first else key < place)
        return and_(*clauses)

    def _condition(self, expression: Expression, events: FromClause) -> Clause:
        return condition(expression, self._organisation_id, self._key, events)

    async def _read(self, statement: str, values: Mapping[str, Any]) -> list[Position]:
        return [Position(*row) for row in await self._rows(statement, values)]

    async def _rows(self, statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        driver = await driver_of(self._connection)
        return await (await driver.cursor(binary=True).execute(statement, values)).fetchall()


class _Rows:
    """The projected events that a condition narrows, in one order: statements and their values."""

    def __init__(self, own: Clause, oldest_first: bool) -> None:  # noqa: FBT001
        self._own = as_text(own, "own_")
        self._way = "ASC" if oldest_first else "DESC"

    def all(self, limit: int) -> Statement:
        """All of them."""
        return self._filled(ALL, Text("true", {}), limit)

    def near(self, others: Clause, limit: int) -> Statement:
        """Those that match something else, looked for in order of time."""
        return self._filled(ALL, as_text(others, "asked_"), limit)

    def far(self, others: Clause, limit: int) -> Statement:
        """The same, of all that match."""
        return self._filled(FAR, as_text(others, "asked_"), limit)

    def probed(self, others: Clause, limit: int) -> Statement:
        """Of the next `PROBED` those that match, and the last of them: place, and which it is."""
        return self._filled(PROBE, as_text(others, "asked_"), limit)

    def of_kinds(self, kinds: Sequence[int], limit: int) -> Statement:
        """Those of some kinds."""
        statement, values = self._filled(OF_KINDS, Text("true", {}), limit)
        return statement, {**values, "kinds": list(kinds)}

    def _filled(self, statement: str, asked: Text, limit: int) -> Statement:
        filled = statement.format(
            own=self._own.sql,
            asked=asked.sql,
            way=self._way,
            columns=", ".join(COMPARED),
            probed=PROBED,
        )
        return filled, {**self._own.values, **asked.values, "most": limit}


def _split(expression: Expression | None) -> tuple[Expression | None, Expression | None]:
    """What an index narrows in order of time, and what else is asked for."""
    parts = expression.parts if isinstance(expression, And) else (expression,)
    known = [part for part in parts if part is not None]
    in_order = [part for part in known if _is_in_order(part)]
    others = [part for part in known if not _is_in_order(part)]
    return (conjunction(in_order) if in_order else None, conjunction(others) if others else None)


def _is_in_order(part: Expression) -> bool:
    if not isinstance(part, Condition):
        return False
    if part.field == "actor.id":
        return part.comparator is Comparator.EQUALS and isinstance(part.value, str)
    return part.field == "occurred_at" and part.comparator is not Comparator.NOT_EQUALS


def _names_actor(in_order: Expression | None) -> bool:
    """Whether events are narrowed by their actor, which no index on kinds knows."""
    parts = in_order.parts if isinstance(in_order, And) else (in_order,)
    return any(isinstance(part, Condition) and part.field == "actor.id" for part in parts)


def _names_one(expression: Expression) -> bool:
    """Whether it asks for an event by its id or its place, so that there is nothing to look for."""
    parts = expression.parts if isinstance(expression, And) else (expression,)
    return any(
        isinstance(part, Condition)
        and part.field in ("id", "log_index")
        and part.comparator is Comparator.EQUALS
        for part in parts
    )
