"""Finding the events of one log that a filter asks for, page by page in order of time.

A filter may ask for what nearly every event is, or for what hardly any is, and statistics cannot
always tell which, nor whether it lies near. So the next events in order of time are looked through
first, as the index on time has them. Where none of them matches, what is asked for is rare or far
away, and all of it is gathered; where too few do, the planner decides.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import FromClause, Select, false, select, true, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId, Position, Recorded
from smart_audit.audit.filters import And, Comparator, Condition, Expression, conjunction
from smart_audit.audit.repository.filter_sql import COMPARED, Clause, condition
from smart_audit.audit.repository.level import level
from smart_audit.audit.repository.log_reader import LogReader
from smart_audit.audit.tables import found_events
from smart_audit.audit.terms import TermKey
from smart_audit.audit.wrapping import Wrapping

PROBED = 500
"""Events that are looked through first."""

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
        own = found_events.c.organisation_id == self._organisation_id
        narrow = own if in_order is None else own & self._condition(in_order, found_events)
        rows = _Rows(narrow, oldest_first=oldest_first)
        if others is None:
            return await self._read(rows.select(after).limit(limit))
        if _names_one(others):
            return await self._rest(rows, others, after, limit, near=False)
        found, end = await self._probed(rows, others, after, limit)
        if end is None or len(found) == limit:
            return found
        missing = limit - len(found)
        return found + await self._rest(rows, others, end, missing, near=bool(found))

    async def _probed(
        self, rows: "_Rows", others: Expression, after: Position | None, limit: int
    ) -> tuple[list[Position], Position | None]:
        """What the next `PROBED` events have, and the last of them if there are so many."""
        asked = [found_events.c[name] for name in COMPARED]
        probed = rows.select(after, asked).limit(PROBED).cte("probed")
        columns = (probed.c.occurred_at, probed.c.log_index)
        hits = (
            select(*columns, true().label("hit"))
            .where(self._condition(others, probed))
            .order_by(*rows.order(probed))
            .limit(limit)
        )
        last = select(*columns, false()).order_by(*rows.order(probed)).offset(PROBED - 1)
        both = union_all(*(select(part.subquery()) for part in (hits, last)))
        found: list[Position] = []
        end = None
        for row in await self._connection.execute(both):
            position = Position(row.occurred_at, row.log_index)
            if row.hit:
                found.append(position)
            else:
                end = position
        return found, end

    async def _rest(
        self,
        rows: "_Rows",
        others: Expression,
        after: Position | None,
        limit: int,
        *,
        near: bool,
    ) -> list[Position]:
        """What is behind a position; near: whether there were some before it.

        If not, all that match are gathered: they are rare, or far away, and looking for them in
        order of time would go through the whole log.
        """
        clause = self._condition(others, found_events)
        if near:
            return await self._read(rows.select(after).where(clause).limit(limit))
        matching = rows.select(after, ordered=False).where(clause)
        gathered = matching.cte("gathered").prefix_with("MATERIALIZED")
        return await self._read(select(gathered).order_by(*rows.order(gathered)).limit(limit))

    def _condition(self, expression: Expression, events: FromClause) -> Clause:
        return condition(expression, self._organisation_id, self._key, events)

    async def _read(self, statement: Select[Any]) -> list[Position]:
        rows = await self._connection.execute(statement)
        return [Position(row.occurred_at, row.log_index) for row in rows]


class _Rows:
    """The projected events of one log in one order, as far as the indexes on time narrow them."""

    def __init__(self, clause: Clause, *, oldest_first: bool) -> None:
        self._clause = clause
        self._oldest_first = oldest_first

    def order(self, events: FromClause) -> Iterable[Any]:
        """The order, by the columns of some of them."""
        columns = (events.c.occurred_at, events.c.log_index)
        return columns if self._oldest_first else [column.desc() for column in columns]

    def select(
        self, after: Position | None, columns: Iterable[Any] = (), *, ordered: bool = True
    ) -> Select[Any]:
        """Those behind a position."""
        key = (found_events.c.occurred_at, found_events.c.log_index)
        statement = select(*(columns or key)).where(self._clause)
        if after is not None:
            place = (after.occurred_at, after.log_index)
            behind = tuple_(*key) > place if self._oldest_first else tuple_(*key) < place
            statement = statement.where(behind)
        return statement.order_by(*self.order(found_events)) if ordered else statement


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


def _names_one(expression: Expression) -> bool:
    """Whether it asks for an event by its id or its place, so that there is nothing to look for."""
    parts = expression.parts if isinstance(expression, And) else (expression,)
    return any(
        isinstance(part, Condition)
        and part.field in ("id", "log_index")
        and part.comparator is Comparator.EQUALS
        for part in parts
    )
