"""Search events by a question in words: what it names are filters, what it means ranks."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo

from smart_audit.audit.domain import OrganisationId, Recorded
from smart_audit.audit.filters import Expression
from smart_audit.audit.meaning.phrases import Phrase
from smart_audit.audit.questions.calendar import Clock
from smart_audit.audit.questions.readings import Interpretation
from smart_audit.audit.questions.understanding import remaining, understand
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.database import Searching
from smart_audit.audit.repository.event_search import Count, Scope
from smart_audit.audit.use_cases.find_hits import (
    Found,
    best_events,
    best_kinds,
    latest_events,
    latest_kinds,
)
from smart_audit.audit.use_cases.interpret import expression_of, interpret
from smart_audit.audit.use_cases.projected import projected
from smart_audit.audit.use_cases.rank_kinds import Asked, Kinds
from smart_audit.audit.use_cases.read_events import how_many_fit

MAX_HITS = 1000
"""Hits of one search, over all its pages."""
MAX_COUNT = 1000
"""Up to how many the events of a kind are counted."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for, and which page of it."""

    query: str
    filter: Expression | None
    zone: tzinfo
    now: datetime
    """When the first page was asked for: what "yesterday" is stays the same on all pages."""
    limit: int
    offset: int = 0
    size: int | None = None
    """How much of the log the first page has searched."""
    grouped: bool = True
    literal: bool = False
    ignored: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: an event, which stands for its kind if hits are grouped."""

    recorded: Recorded
    phrase: Phrase
    found: Found
    count: Count | None
    """Of the kind within the filters, if hits are grouped; one more than MAX_COUNT at most."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of answers."""

    hits: Sequence[Hit]
    interpreted: Sequence[Interpretation]
    ranked_by: str
    filter: Expression | None
    size: int
    end: int | None
    """Where the next page begins, if there is one."""


async def search_events(
    search: Search, organisation_id: OrganisationId, database: Database, kinds: Kinds
) -> Answer:
    """One page of what answers a question best. Raises: LogDamaged."""
    interpreted = await _interpreted(search, organisation_id, database)
    words = remaining(search.query, interpreted)
    # Not in a transaction: a model may be another service's.
    asked = await kinds.asked(words)
    async with _searching(search, organisation_id, database) as searching:
        size = searching.level.projected if search.size is None else search.size
        scope = Scope(size, search.filter).narrowed(expression_of(interpreted))
        found = await _found(search, asked, kinds, scope, searching)
        page = found[search.offset : search.offset + search.limit]
        hits = await _hits(page, kinds, scope, searching, grouped=search.grouped)
    fitting = hits[: how_many_fit(hit.recorded for hit in hits)]
    end = search.offset + (len(page) if len(fitting) == len(hits) else len(fitting))
    return Answer(
        fitting, interpreted, words, scope.within, size, end if end < len(found) else None
    )


@asynccontextmanager
async def _searching(
    search: Search, organisation_id: OrganisationId, database: Database
) -> AsyncIterator[Searching]:
    """One transaction that finds what was recorded before, as a first page has to.

    Nobody waits for the projection in a transaction: those that it needs might all be waiting.
    """
    async with database.searching(organisation_id) as searching:
        if search.size is not None or searching.level.is_reached:
            yield searching
            return
    await projected(organisation_id, database)
    async with database.searching(organisation_id) as searching:
        yield searching


async def _found(
    search: Search, asked: Asked | None, kinds: Kinds, scope: Scope, searching: Searching
) -> list[Found]:
    """All answers up to the page's last, and one more if there is one."""
    wanted = min(search.offset + search.limit + 1, MAX_HITS)
    if asked is None:
        latest = latest_kinds if search.grouped else latest_events
        return await latest(scope, wanted, searching)
    best = best_kinds if search.grouped else best_events
    return await best(asked, kinds, scope, wanted, searching)


async def _interpreted(
    search: Search, organisation_id: OrganisationId, database: Database
) -> Sequence[Interpretation]:
    if search.literal:
        return []
    question = understand(search.query, Clock(search.now, search.zone))
    if not question.readings:
        return []
    async with _searching(search, organisation_id, database) as searching:
        return await interpret(question, search.ignored, searching.events)


async def _hits(
    page: Sequence[Found], kinds: Kinds, scope: Scope, searching: Searching, *, grouped: bool
) -> list[Hit]:
    """What retention has removed a moment ago is left out."""
    ids = [one.place.phrase_id for one in page]
    recorded = await searching.log.recorded(one.place.log_index for one in page)
    phrases = await kinds.get(ids, searching)
    counts = await searching.events.counts(ids, scope, MAX_COUNT + 1) if grouped else {}
    return [
        Hit(
            recorded[one.place.log_index],
            phrases[one.place.phrase_id],
            one,
            counts.get(one.place.phrase_id),
        )
        for one in page
        if one.place.log_index in recorded and one.place.phrase_id in phrases
    ]
