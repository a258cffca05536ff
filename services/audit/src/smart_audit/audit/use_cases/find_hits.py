"""Find what answers a question: kinds of event ranked by meaning, and events that have its words.

Words count beside the meaning, and strongly only where they are names: a list of all events that
have any word of a question, fused by rank, makes a good ranking by meaning worse.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from smart_audit.audit.filters import parse_filter
from smart_audit.audit.meaning.phrases import PhraseId
from smart_audit.audit.meaning.ranking import Ranked
from smart_audit.audit.questions.readings import NO_READS
from smart_audit.audit.repository.database import Searching
from smart_audit.audit.repository.event_search import Place, Scope, newest_first
from smart_audit.audit.use_cases.rank_kinds import Asked, Kinds

CANDIDATES: Final = (200, 2000, 100_000)
"""How many kinds are ranked; more, as long as too few of them have events within the filters."""
BATCH: Final = 25
"""Kinds whose events are read at once."""
LOOKED_AT: Final = 2000
"""Latest events within the filters whose kinds are looked at first: they may be all."""
LATEST: Final = 20_000
"""Latest events whose kinds are looked at, where a question is nothing but filters."""
MAX_WORDED: Final = 300
"""Events that have words of the question."""


class Found(NamedTuple):
    """An event that answers."""

    place: Place
    score: float
    """More than 0, at most 1."""
    kind: Ranked | None = None
    """What its kind has to do with the question."""
    words: tuple[str, ...] = ()
    """Words of the question that the event has, and no kind of event."""


async def latest_kinds(scope: Scope, wanted: int, searching: Searching) -> list[Found]:
    """Where nothing is left to rank by: the newest event of each kind, the newest first."""
    events = searching.events
    places, complete = await events.latest_kinds(scope, LATEST)
    if len(places) < wanted and not complete:
        newest = await events.newest(await events.all_kinds(), scope)
        places = sorted(newest.values(), key=newest_first)
    return [Found(place, 1.0) for place in places[:wanted]]


async def latest_events(scope: Scope, wanted: int, searching: Searching) -> list[Found]:
    """Where nothing is left to rank by: the newest events."""
    return [Found(place, 1.0) for place in await searching.events.latest(scope, wanted)]


async def best_kinds(
    asked: Asked, kinds: Kinds, scope: Scope, wanted: int, searching: Searching
) -> list[Found]:
    """The best kinds of event, each by the event with most of the words, or by its newest."""
    finding = _Finding(asked, kinds, scope, searching)
    return _best(await finding.kinds(wanted), wanted)


async def best_events(
    asked: Asked, kinds: Kinds, scope: Scope, wanted: int, searching: Searching
) -> list[Found]:
    """The best events: those with most of the words, and those of the best kinds."""
    finding = _Finding(asked, kinds, scope, searching)
    by_kind = await finding.kinds(wanted)
    worded = {one.place.log_index: one for one in finding.worded}
    found = list(worded.values())
    for first in range(0, len(by_kind), BATCH):
        batch = {one.place.phrase_id: one for one in by_kind[first : first + BATCH] if one.kind}
        places = await searching.events.of_kinds(list(batch), scope, wanted)
        for place in places:
            if place.log_index not in worded:
                kind = batch[place.phrase_id].kind
                found.append(Found(place, kind.score if kind else 0.0, kind))
        if len(found) >= wanted + len(worded):
            break
    return _best(found, wanted)


@dataclass(slots=True)
class _Finding:
    """One search. What it reads is read once."""

    asked: Asked
    ranking: Kinds
    scope: Scope
    searching: Searching
    newest: dict[PhraseId, Place] = field(default_factory=dict)
    """The newest events of kinds within the scope, as far as they have been read."""
    complete: bool = False
    """Whether kinds that have not been read have none."""
    worded: list[Found] = field(default_factory=list)

    async def kinds(self, wanted: int) -> list[Found]:
        """At least so many of the best kinds, if there are."""
        await self._look()
        for candidates in CANDIDATES:
            ranked = await self._ranked(candidates)
            await self._find_words(ranked)
            found = await self._with_events(ranked, wanted)
            if self.complete or len(found) >= wanted or len(ranked) < candidates:
                break
        return found

    async def _look(self) -> None:
        """Look at the latest events of a narrow scope: they may be all that there are."""
        if self.scope.within is None:
            return
        places, self.complete = await self.searching.events.latest_kinds(self.scope, LOOKED_AT)
        self.newest = {place.phrase_id: place for place in places}

    async def _ranked(self, candidates: int) -> dict[PhraseId, Ranked]:
        """Kinds that answer, the best first; of a scope that is known as a whole, all it has."""
        ids = list(self.newest) if self.complete else None
        ranked = await self.ranking.rank(self.asked, self.searching, candidates, ids)
        return {one.id: one for one in ranked if one.score > 0}

    async def _find_words(self, ranked: dict[PhraseId, Ranked]) -> None:
        events = self.searching.events
        asked = self.asked.words
        unknown = await self.ranking.unknown_words(asked.all, self.searching)
        words = await events.rare(unknown)
        self.worded = []
        scope = self.scope.narrowed(parse_filter(NO_READS))
        for event in await events.with_words(words, scope, MAX_WORDED):
            kind = ranked.get(event.place.phrase_id)
            score = (kind.score if kind else 0.0) + asked.weight(event.words)
            self.worded.append(Found(event.place, score, kind, event.words))

    async def _with_events(self, ranked: dict[PhraseId, Ranked], wanted: int) -> list[Found]:
        """Of the ranked kinds those that have events, until there are enough; and the worded."""
        best: dict[PhraseId, Found] = {}
        for one in sorted(self.worded, key=lambda one: -one.score):
            best.setdefault(one.place.phrase_id, one)
        found = 0
        rest = list(ranked.values())
        for first in range(0, len(rest), BATCH):
            batch = rest[first : first + BATCH]
            await self._read_newest(kind.id for kind in batch)
            for kind in batch:
                place = self.newest.get(kind.id)
                if place is not None:
                    found += 1
                    best.setdefault(kind.id, Found(place, kind.score, kind))
            if found >= wanted:
                break
        return list(best.values())

    async def _read_newest(self, ids: Iterable[PhraseId]) -> None:
        unread = [one for one in ids if one not in self.newest]
        if unread and not self.complete:
            self.newest |= await self.searching.events.newest(unread, self.scope)


def _best(found: Sequence[Found], wanted: int) -> list[Found]:
    """The best first, and the newest first among equals; scores are made at most 1."""
    top = max((one.score for one in found), default=1.0)
    scaled = [one._replace(score=one.score / max(top, 1.0)) for one in found]
    ordered = sorted(scaled, key=lambda one: (-one.score, *newest_first(one.place)))
    return ordered[:wanted]
