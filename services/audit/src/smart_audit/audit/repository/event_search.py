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
    bindparam,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.filters import Expression, conjunction
from smart_audit.audit.meaning.phrases import PhraseId
from smart_audit.audit.repository.filter_sql import Clause, condition
from smart_audit.audit.repository.search_sql import (
    COUNTS_OF_KINDS,
    NEWEST_OF_KINDS,
    RARE,
    counts_of_kinds,
    latest_sample,
    newest_of_kinds,
    places,
)
from smart_audit.audit.tables import found_events, phrases
from smart_audit.audit.terms import TermKey


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
        sample = latest_sample(found_events.c).cte("sample")
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
        statement = (
            NEWEST_OF_KINDS if scope.within is None else newest_of_kinds(self._within(scope))
        )
        asked = {**self._asked(scope), "ids": list(ids), "most": limit}
        return [_place(row) for row in await self._connection.execute(statement, asked)]

    async def counts(
        self, ids: Sequence[PhraseId], scope: Scope, limit: int
    ) -> dict[PhraseId, Count]:
        """How many events of each kind there are within a scope; no more than so many count."""
        if not ids:
            return {}
        statement = (
            COUNTS_OF_KINDS if scope.within is None else counts_of_kinds(self._within(scope))
        )
        asked = {**self._asked(scope), "ids": list(ids), "most": limit}
        return {
            PhraseId(row.phrase_id): Count(row.number, row.first, row.last)
            for row in await self._connection.execute(statement, asked)
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
        asked = {"organisation_id": self._organisation_id, "terms": list(by_term)}
        rows = await self._connection.scalars(RARE, asked)
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
        return places(self._within(scope)).params(self._asked(scope))

    def _within(self, scope: Scope) -> Clause | None:
        if scope.within is None:
            return None
        return condition(scope.within, self._organisation_id, self._key, found_events)

    def _asked(self, scope: Scope) -> dict[str, Any]:
        return {"organisation_id": self._organisation_id, "size": scope.size}


def _terms(terms: Iterable[int]) -> Any:
    return bindparam(None, list(terms), type_=ARRAY(BigInteger), unique=True)


def _place(row: Row[Any]) -> Place:
    return Place(PhraseId(row.phrase_id), row.occurred_at, row.log_index)


def newest_first(place: Place) -> tuple[float, int]:
    """What to sort by."""
    return -place.occurred_at.timestamp(), -place.log_index
