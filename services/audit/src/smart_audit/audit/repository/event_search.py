"""What a search asks of the projected events of one log: which kinds, how many, which words."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, array, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.filters import Expression, conjunction
from smart_audit.audit.meaning.phrases import PhraseId
from smart_audit.audit.repository.filter_sql import condition
from smart_audit.audit.tables import found_events, phrases
from smart_audit.audit.terms import TermKey

SAMPLE = 500
"""Latest events that tell whether a word is common."""
COMMON = 25
"""In so many of the sample a word is common, and tells nothing of an event that has it."""
COMMON_IN_ALL = 2000
"""In so many events of a log it is, too: nobody looks through them for one of its words."""


class Place(NamedTuple):
    """An event, and its kind."""

    phrase_id: PhraseId
    occurred_at: datetime
    log_index: int


class Worded(NamedTuple):
    """An event, and which words of the question it has."""

    place: Place
    words: tuple[str, ...]


class Count(NamedTuple):
    """How many events of a kind there are, and when the first and the last of them happened."""

    events: int
    first_occurred_at: datetime
    last_occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Scope:
    """The events that are searched."""

    size: int
    """Those before this place in the log."""
    within: Expression | None = None
    """Those that this filter matches."""

    def narrowed(self, further: Expression | None) -> "Scope":
        """Those that another filter matches, too."""
        given = [one for one in (self.within, further) if one is not None]
        return Scope(self.size, conjunction(given) if given else None)


class EventSearch:
    """Searches the projected events of one log in one transaction."""

    def __init__(
        self, connection: AsyncConnection, organisation_id: OrganisationId, key: TermKey
    ) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        self._key = key

    async def find_any(self, expressions: Sequence[Expression]) -> list[bool]:
        """Of several filters, which match any event.

        The latest events are looked at first: what is common is found there, at once.
        """
        if not expressions:
            return []
        sample = _latest(found_events.c).cte("sample")
        asked = [
            or_(self._any(expression, sample), self._any(expression, found_events))
            for expression in expressions
        ]
        return list((await self._connection.execute(select(*asked))).one())

    async def words_of_kinds(self, words: Collection[str]) -> set[str]:
        """Of several words, those that any kind of event has."""
        distinct = sorted(set(words))
        if not distinct:
            return set()
        asked = [
            exists().where(
                phrases.c.organisation_id == self._organisation_id,
                phrases.c.words.bool_op("@@")(func.plainto_tsquery("english", word)),
            )
            for word in distinct
        ]
        found = (await self._connection.execute(select(*asked))).one()
        return {word for word, known in zip(distinct, found, strict=True) if known}

    async def newest(self, ids: Sequence[PhraseId], scope: Scope) -> dict[PhraseId, Place]:
        """The newest event of each kind within a scope; kinds that have none are left out."""
        places = await self.of_kinds(ids, scope, 1)
        return {place.phrase_id: place for place in places}

    async def of_kinds(self, ids: Sequence[PhraseId], scope: Scope, limit: int) -> list[Place]:
        """The newest events of each kind within a scope, so many of each at most."""
        if not ids:
            return []
        kinds = _kinds(ids)
        newest = (
            self._places(scope)
            .where(found_events.c.phrase_id == kinds.c.phrase_id)
            .correlate(kinds)
            .order_by(found_events.c.occurred_at.desc(), found_events.c.log_index.desc())
            .limit(limit)
            .lateral("newest")
        )
        statement = select(newest).select_from(kinds.join(newest, true()))
        return [_place(row) for row in await self._connection.execute(statement)]

    async def counts(
        self, ids: Sequence[PhraseId], scope: Scope, limit: int
    ) -> dict[PhraseId, Count]:
        """How many events of each kind there are within a scope; no more than so many count."""
        if not ids:
            return {}
        kinds = _kinds(ids)
        some = (
            self._places(scope)
            .where(found_events.c.phrase_id == kinds.c.phrase_id)
            .correlate(kinds)
            .order_by(found_events.c.occurred_at.desc(), found_events.c.log_index.desc())
            .limit(limit)
            .subquery()
        )
        counted = (
            select(
                func.count().label("number"),
                func.min(some.c.occurred_at).label("first"),
                func.max(some.c.occurred_at).label("last"),
            )
            .select_from(some)
            .lateral("counted")
        )
        statement = select(kinds.c.phrase_id, counted).select_from(kinds.join(counted, true()))
        return {
            PhraseId(row.phrase_id): Count(row.number, row.first, row.last)
            for row in await self._connection.execute(statement)
            if row.number
        }

    async def latest_kinds(self, scope: Scope, looked_at: int) -> tuple[list[Place], bool]:
        """The newest event of each kind among the latest within a scope, and if these are all."""
        latest = (
            self._places(scope)
            .order_by(found_events.c.occurred_at.desc(), found_events.c.log_index.desc())
            .limit(looked_at)
            .cte("latest")
        )
        newest = (
            select(latest)
            .ext(distinct_on(latest.c.phrase_id))
            .order_by(latest.c.phrase_id, latest.c.occurred_at.desc(), latest.c.log_index.desc())
        ).subquery()
        seen = select(func.count()).select_from(latest).scalar_subquery()
        rows = (await self._connection.execute(select(newest, seen.label("seen")))).all()
        places = sorted(map(_place, rows), key=newest_first)
        return places, not rows or rows[0].seen < looked_at

    async def all_kinds(self) -> list[PhraseId]:
        """All kinds of event."""
        statement = select(phrases.c.phrase_id).where(
            phrases.c.organisation_id == self._organisation_id
        )
        return [PhraseId(one) for one in await self._connection.scalars(statement)]

    async def latest(self, scope: Scope, limit: int) -> list[Place]:
        """The latest events within a scope."""
        statement = self._places(scope).order_by(
            found_events.c.occurred_at.desc(), found_events.c.log_index.desc()
        )
        return [_place(row) for row in await self._connection.execute(statement.limit(limit))]

    async def rare(self, words: Collection[str]) -> list[str]:
        """Of several words, those that few of the latest events have, and few of all."""
        by_term = {self._key.word(word): word for word in words}
        if not by_term:
            return []
        sample = _latest([found_events.c.terms]).cte("sample")
        asked = func.unnest(_terms(by_term)).column_valued("term")
        having = (
            select(func.count())
            .select_from(sample)
            .where(asked == func.any(sample.c.terms))
            .scalar_subquery()
        )
        some = (
            select(literal(1))
            .where(
                found_events.c.organisation_id == self._organisation_id,
                found_events.c.terms.contains(array([asked])),
            )
            .limit(COMMON_IN_ALL)
            .subquery()
        )
        in_all = select(func.count()).select_from(some).scalar_subquery()
        # Only of what is rare in the sample the rest is looked at.
        rare = case((having < COMMON, in_all < COMMON_IN_ALL), else_=false())
        rows = await self._connection.scalars(select(asked).where(rare))
        return sorted(by_term[term] for term in rows)

    async def with_words(self, words: Sequence[str], scope: Scope, limit: int) -> list[Worded]:
        """Events within a scope that have any of these words, those that have the most first."""
        if not words:
            return []
        terms = [self._key.word(word) for word in words]
        has = [found_events.c.terms.contains(_terms([term])) for term in terms]
        many = sum((cast(one, Integer) for one in has), literal(0))
        statement = (
            self._places(scope)
            .add_columns(*(one.label(f"has_{number}") for number, one in enumerate(has)))
            .where(found_events.c.terms.overlap(_terms(terms)))
            .order_by(
                many.desc(), found_events.c.occurred_at.desc(), found_events.c.log_index.desc()
            )
            .limit(limit)
        )
        return [
            Worded(
                _place(row), tuple(word for word, had in zip(words, row[3:], strict=True) if had)
            )
            for row in await self._connection.execute(statement)
        ]

    def _any(self, expression: Expression, events: FromClause) -> ColumnElement[bool]:
        matched = condition(expression, self._organisation_id, self._key, events)
        return select(1).select_from(events).where(matched).exists()

    def _places(self, scope: Scope) -> Select[Any]:
        clauses: list[ColumnElement[bool]] = [
            found_events.c.organisation_id == self._organisation_id,
            found_events.c.log_index < scope.size,
        ]
        if scope.within is not None:
            clauses.append(condition(scope.within, self._organisation_id, self._key, found_events))
        return select(
            found_events.c.phrase_id, found_events.c.occurred_at, found_events.c.log_index
        ).where(and_(*clauses))


def _latest(columns: Iterable[Any]) -> Select[Any]:
    return (
        select(*columns)
        .order_by(found_events.c.occurred_at.desc(), found_events.c.log_index.desc())
        .limit(SAMPLE)
    )


def _kinds(ids: Sequence[PhraseId]) -> Any:
    """Some kinds as a table."""
    array = bindparam(None, list(ids), type_=ARRAY(BigInteger), unique=True)
    return func.unnest(array).table_valued("phrase_id", name="kinds").render_derived()


def _terms(terms: Iterable[int]) -> Any:
    return bindparam(None, list(terms), type_=ARRAY(BigInteger), unique=True)


def _place(row: Row[Any]) -> Place:
    return Place(PhraseId(row.phrase_id), row.occurred_at, row.log_index)


def newest_first(place: Place) -> tuple[float, int]:
    """What to sort by."""
    return -place.occurred_at.timestamp(), -place.log_index
