"""What is counted, as rows with a number of events each, read where there are fewest of them.

The projection keeps counts by whole days (UTC) and one thing alone: kind, actor or address. What
they cannot tell is read event by event: the hours at both ends of a span, pieces of time that are
no whole days, two different things against each other, and what a filter asks beyond kinds.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Subquery,
    Table,
    any_,
    bindparam,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from smart_audit.audit.analytics.counts import Scope
from smart_audit.audit.analytics.query import Span
from smart_audit.audit.analytics.time_line import TimeLine
from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.repository.filter_sql import condition
from smart_audit.audit.tables import (
    actor_counts,
    address_counts,
    entry_targets,
    found_events,
    kind_counts,
)
from smart_audit.audit.terms import TermKey

DAY = timedelta(days=1)
PHRASE, ACTOR, ADDRESS, TARGET = "phrase_id", "actor_id", "address", "target_id"

Clause = ColumnElement[bool]

OF_EVENTS: dict[str, ColumnElement[Any]] = {
    PHRASE: found_events.c.phrase_id,
    ACTOR: found_events.c.actor_id,
    ADDRESS: func.coalesce(found_events.c.address, 0),
    # A row for each target, and none without.
    TARGET: func.unnest(found_events.c.target_ids),
}


class Kept(NamedTuple):
    """Counts that the projection keeps, and what they are by."""

    table: Table
    column: str


KINDS = Kept(kind_counts, PHRASE)
OF_ANY_KIND = (Kept(actor_counts, ACTOR), Kept(address_counts, ADDRESS))


class Facts:
    """The projected events of one organisation; `size` entries of its log are projected."""

    def __init__(self, organisation_id: OrganisationId, key: TermKey, size: int) -> None:
        self._organisation_id = organisation_id
        self._key = key
        self._size = size

    def rows(
        self,
        scope: Scope,
        columns: Collection[str],
        line: TimeLine | None,
        *,
        exact: bool = False,
    ) -> Subquery:
        """Rows with the columns, `events`, and `at`, which is when they happened.

        `at` is as exact as the pieces of the line need it, unless it has to be quite. Events
        without any target have no row where `target_id` is asked for, and those with several have
        a row for each.
        """
        kept = None if exact else _kept(scope, columns, line)
        if kept is not None:
            parts = list(self._with_days(scope, kept, columns))
        elif set(columns) == {TARGET} and scope.kinds is None and scope.condition is None:
            parts = [self._of_targets(scope.span)]
        else:
            parts = [self._of_events(scope, scope.span, columns)]
        return (union_all(*parts) if len(parts) > 1 else parts[0]).subquery("facts")

    def _with_days(
        self, scope: Scope, kept: Kept, columns: Collection[str]
    ) -> Iterator[Select[Any]]:
        """Whole days out of what is kept, and the hours before and after them out of events."""
        first, before = scope.span
        first_day = None if first is None else -((_EPOCH - first) // DAY) * DAY + _EPOCH
        end_day = None if before is None else (before - _EPOCH) // DAY * DAY + _EPOCH
        if first_day is not None and end_day is not None and first_day >= end_day:
            yield self._of_events(scope, scope.span, columns)
            return
        table = kept.table
        days = select(
            table.c.day.label("at"),
            *(table.c[column] for column in columns),
            table.c.events.label("events"),
        ).where(table.c.organisation_id == self._organisation_id)
        if scope.kinds is not None:
            days = days.where(table.c[PHRASE] == _any(scope.kinds))
        yield days.where(*_within(Span(first_day, end_day), table.c.day))
        if first is not None and first != first_day:
            yield self._of_events(scope, Span(first, first_day), columns)
        if before is not None and before != end_day:
            yield self._of_events(scope, Span(end_day, before), columns)

    def _of_events(self, scope: Scope, span: Span, columns: Collection[str]) -> Select[Any]:
        rows = select(
            found_events.c.occurred_at.label("at"),
            *(OF_EVENTS[column].label(column) for column in columns),
            literal(1, BigInteger).label("events"),
        ).where(found_events.c.organisation_id == self._organisation_id)
        if scope.kinds is not None:
            rows = rows.where(found_events.c.phrase_id == _any(scope.kinds))
        if scope.condition is not None:
            rows = rows.where(condition(scope.condition, self._organisation_id, self._key))
        return rows.where(*_within(span, found_events.c.occurred_at))

    def _of_targets(self, span: Span) -> Select[Any]:
        """Out of the log's own table, whose key holds all that is needed."""
        rows = select(
            entry_targets.c.occurred_at.label("at"),
            entry_targets.c.target_id.label(TARGET),
            literal(1, BigInteger).label("events"),
        ).where(
            entry_targets.c.organisation_id == self._organisation_id,
            entry_targets.c.log_index < self._size,
        )
        return rows.where(*_within(span, entry_targets.c.occurred_at))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _kept(scope: Scope, columns: Collection[str], line: TimeLine | None) -> Kept | None:
    """The counts that tell all; None where there are none."""
    if scope.condition is not None:
        return None
    if line is not None and not all(bound.time() == time.min for bound in line.bounds):
        return None
    if scope.kinds is None:
        for kept in OF_ANY_KIND:
            # Any of them knows how many events there are.
            if set(columns) <= {kept.column}:
                return kept
    return KINDS if set(columns) <= {PHRASE} else None


def _within(span: Span, at: ColumnElement[datetime]) -> Iterator[Clause]:
    if span.first is not None:
        yield at >= span.first
    if span.before is not None:
        yield at < span.before


def _any(kinds: Sequence[int]) -> ColumnElement[Any]:
    return any_(bindparam(None, list(kinds), type_=ARRAY(BigInteger), unique=True))
