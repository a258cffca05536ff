"""Count events: by fields, over time, and by distinct values."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from smart_audit.audit.analytics.answer import Answer, Cell, Group, Others, Piece
from smart_audit.audit.analytics.counts import Counts, Keyed, Listed, Scope
from smart_audit.audit.analytics.query import Field, Query, Span, invalid
from smart_audit.audit.analytics.scoping import kinds_satisfying, take_apart
from smart_audit.audit.analytics.time_line import TimeLine, TooFine, time_line
from smart_audit.audit.analytics.values import ERASED, Value, kind_of, outcome_of, value_of
from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.filters import Expression, conjunction
from smart_audit.audit.repository import Database, LogReader
from smart_audit.audit.repository.counting import NO_ADDRESS, EventCounter
from smart_audit.audit.use_cases.projected import projected

DAY = timedelta(days=1)


async def aggregate_events(
    query: Query, expression: Expression | None, organisation_id: OrganisationId, database: Database
) -> Answer:
    """Count the events that satisfy an expression, those included that were just recorded.

    Raises: AggregationInvalid, LogDamaged.
    """
    await projected(organisation_id, database)
    async with database.counting(organisation_id) as (counter, reader):
        scope = await _scope(query.span, expression, counter)
        line = await _line(query, scope, counter)
        counts = await counter.counts(scope, query.fields, line, query.top)
        pieces = counts.pieces
        if any(field.several for field in query.fields):
            pieces = (await counter.counts(scope, (), line, 0)).pieces
        distinct = [(field, await counter.distinct(scope, field)) for field in query.distinct]
        values = [
            await _values(field, listed, counter, reader)
            for field, listed in zip(query.fields, (counts.rows, counts.columns), strict=False)
        ]
    table = _Table(counts, len(line) if line else 0)
    return Answer(
        total=sum(pieces.values()),
        groups=table.rows(values[0]) if values else (),
        other=_others(counts.rows),
        columns=table.columns(values[1]) if len(values) > 1 else (),
        other_columns=_others(counts.columns),
        pieces=_pieces(line, pieces),
        bucket=line.bucket if line else None,
        distinct=distinct,
        log_size=counter.size,
    )


async def _scope(span: Span, expression: Expression | None, counter: EventCounter) -> Scope:
    """Which events to count; what is asked of kinds becomes a list of them."""
    parts = take_apart(expression, span)
    if parts.of_kinds is None:
        return Scope(parts.span, None, parts.rest)
    kinds = kinds_satisfying(parts.of_kinds, await counter.kinds())
    if kinds is None:
        asked = [part for part in (parts.of_kinds, parts.rest) if part is not None]
        return Scope(parts.span, None, conjunction(asked))
    return Scope(parts.span, [kind.id for kind in kinds], parts.rest)


async def _line(query: Query, scope: Scope, counter: EventCounter) -> TimeLine | None:
    """The time line; None when none is asked for, or nothing says where it begins and ends.

    Raises: AggregationInvalid.
    """
    if query.bucket is None or scope.span.empty:
        return None
    first, before = scope.span
    if first is None or before is None:
        extent = await counter.extent(scope)
        if extent.first is None or extent.last is None:
            return None
        first = first or await _exactly(extent.first, scope, counter, earliest=True)
        last = await _exactly(extent.last, scope, counter, earliest=False)
        before = before or last + datetime.resolution
    try:
        return time_line(first, before, query.bucket, query.zone)
    except TooFine as error:
        remedy = "occurred_from and occurred_before that are nearer to each other"
        if error.finest is not None:
            remedy = f"{error.finest.name} or longer, or {remedy}"
        raise invalid("bucket", f"would make {error.pieces:,} buckets; give {remedy}") from error
    except OverflowError as error:
        raise invalid("bucket", "would begin or end outside the years 1 to 9999") from error


async def _exactly(
    at: datetime, scope: Scope, counter: EventCounter, *, earliest: bool
) -> datetime:
    """When the first or the last event happened, of which perhaps only the day is known."""
    if at.astimezone(UTC).time() != time.min:
        return at
    day = replace(scope, span=scope.span.within(Span(at, at + DAY)))
    extent = await counter.extent(day, exact=True)
    return (extent.first if earliest else extent.last) or at


async def _values(
    field: Field, listed: Listed, counter: EventCounter, reader: LogReader
) -> Mapping[str, Value]:
    """The listed values of a field in words, by their keys."""
    keys = [keyed.key for keyed in listed.top]
    match field:
        case Field.OUTCOME:
            return {key: outcome_of(key) for key in keys}
        case Field.KIND:
            kinds = await counter.kinds([int(key) for key in keys])
            return {str(kind.id): kind_of(kind) for kind in kinds}
        case Field.ADDRESS:
            return await _addresses(keys, counter, reader)
        case _:
            return {key: value_of(field, key) for key in keys}


async def _addresses(
    keys: Sequence[str], counter: EventCounter, reader: LogReader
) -> dict[str, Value]:
    """Addresses are sealed: each is read from an event that came from there, if one can be opened.

    Raises: LogDamaged.
    """
    places = await counter.places_of([int(key) for key in keys if key != NO_ADDRESS])
    recorded = await reader.recorded(places.values())
    values = {NO_ADDRESS: value_of(Field.ADDRESS, "")}
    for address, place in places.items():
        if place in recorded and recorded[place].event.source_address:
            shown = recorded[place].event.source_address
            values[str(address)] = value_of(Field.ADDRESS, shown)
    return {key: values.get(key, ERASED) for key in keys}


class _Table(NamedTuple):
    """Counts as groups; `length` is that of the time line."""

    counts: Counts
    length: int

    def rows(self, values: Mapping[str, Value]) -> list[Group]:
        """The groups of the first field."""
        return [
            self._group(values[row.key], row, self.counts.of_rows, self._cells(row.key))
            for row in self.counts.rows.top
        ]

    def columns(self, values: Mapping[str, Value]) -> list[Group]:
        """The groups of the second field."""
        return [
            self._group(values[column.key], column, self.counts.of_columns, ())
            for column in self.counts.columns.top
        ]

    def _group(
        self,
        value: Value,
        keyed: Keyed,
        over_time: Mapping[tuple[str, int], int],
        cells: Sequence[Cell],
    ) -> Group:
        return Group(
            value.text,
            keyed.events,
            value.erased,
            value.filter,
            [over_time.get((keyed.key, piece), 0) for piece in range(self.length)],
            cells,
        )

    def _cells(self, row: str) -> list[Cell]:
        cells = []
        for column in self.counts.columns.top:
            over_time = [
                self.counts.cells.get((row, column.key, piece), 0)
                for piece in range(self.length or 1)
            ]
            cells.append(Cell(sum(over_time), over_time if self.length else ()))
        return cells


def _others(listed: Listed) -> Others:
    shown = sum(keyed.events for keyed in listed.top)
    return Others(listed.groups - len(listed.top), listed.events - shown)


def _pieces(line: TimeLine | None, counts: Mapping[int, int]) -> list[Piece]:
    if line is None:
        return []
    spans = zip(line.bounds, line.bounds[1:], strict=False)
    return [Piece(start, end, counts.get(piece, 0)) for piece, (start, end) in enumerate(spans)]
