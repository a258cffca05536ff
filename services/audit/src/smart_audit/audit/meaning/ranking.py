"""Rank kinds of event by how well they answer a question.

Three similarities are added up. `said`: each word of the question finds the term of the kind that
says it best, by the lexicon, or else by word vectors (late interaction). `needed`: how much of the
kind the question says in turn, so that of two kinds with the same words the plainer one comes
first. `near`: the cosine of the texts' vectors. What was tried, and the figures: ADR 0014.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from threading import Lock
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from smart_audit.audit.meaning.kind_table import Compiled, KindTable, compiled
from smart_audit.audit.meaning.phrases import Phrase, PhraseId
from smart_audit.audit.meaning.question import Asked, ask
from smart_audit.audit.meaning.similarity import Flags, Floats, Similarity, Terms
from smart_audit.audit.meaning.word_vectors import word_vectors

NEEDED: Final = 0.3
NEAR: Final = 0.5
"""Weights of the three similarities; that of `said` is 1."""
OPPOSED: Final = -0.4
OTHER: Final = -0.1
"""What an operation of the question counts if the kind does the opposite, or another thing."""
OPERATION_OF_OTHERS: Final = 0.8
"""What a match counts of an operation with a word of the kind that is not what the kind does."""
PARTS: Final = 0.85
"""What a term of several words counts if its words match one by one."""
_MATCHES: Final = 0.5
_CLASHES_BELOW: Final = 0.3
EXPLAINED: Final = 100
"""For how many it is told why."""
_REMEMBERED: Final = 50_000
"""Kinds whose features are kept; one takes about 1 KiB."""
_MAX_TERMS: Final = 20_000
"""One takes about 1 KiB, too. When there are more, all are forgotten."""


class Match(NamedTuple):
    """A word of the question, and what of the kind says it."""

    asked: str
    found: str
    strength: float
    """More than 0, at most 1."""


class Ranked(NamedTuple):
    """A kind of event, and how well it answers."""

    id: PhraseId
    score: float
    """From 0 to 1; only to be compared within one ranking."""
    why: tuple[Match, ...]
    """In the order of the question; of the first 100 only."""


class Ranker:
    """Ranks by what it has learnt of kinds before; it may be used by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._terms: Terms | None = None
        self._compiled: OrderedDict[tuple[PhraseId, str], Compiled] = OrderedDict()

    async def table(self, kinds: Sequence[Phrase]) -> KindTable:
        """Kinds to be ranked: 0.1 ms for each that is new. It is done in a thread.

        The table may be kept, and ranked by any question.
        """
        return await asyncio.to_thread(self.table_now, kinds)

    def table_now(self, kinds: Sequence[Phrase]) -> KindTable:
        """The same in this thread."""
        with self._lock:
            made = self._all(kinds)
            return KindTable(kinds, made, self._known_terms())

    async def rank(
        self,
        query: str,
        table: KindTable,
        nearness: Mapping[PhraseId, float] | None = None,
        *,
        among: Collection[PhraseId] | None = None,
        limit: int | None = None,
    ) -> list[Ranked]:
        """The kinds, the best answer first. It is done in a thread.

        nearness: cosines of the question's vector and the kinds', by another model than the word
        vectors; of kinds that have none it is taken to be the mean. among: the only kinds that are
        looked for; all without. limit: how many at most; all without.
        """
        return await asyncio.to_thread(
            self.rank_now, query, table, nearness, among=among, limit=limit
        )

    def rank_now(
        self,
        query: str,
        table: KindTable,
        nearness: Mapping[PhraseId, float] | None = None,
        *,
        among: Collection[PhraseId] | None = None,
        limit: int | None = None,
    ) -> list[Ranked]:
        """The same in this thread."""
        if not table.kinds:
            return []
        terms = table.all_terms
        with self._lock:
            asked = ask(query)
            asked_terms = {term for one in asked for term in (one.term, *one.parts)}
            similarity = Similarity(terms, table.used, asked_terms)
            near = (
                _given(table, nearness)
                if nearness
                else table.cosines(terms.vectors.embed([query])[0])
            )
            matches = [_match(one, similarity, table) for one in asked]
        said, needed = _said(asked, matches, table)
        scores = (said + NEEDED * needed + NEAR * near) / (1 + NEEDED + NEAR)
        order = np.lexsort((table.ids, -scores))
        if among is not None:
            order = order[table.rows_of(among)[order]]
        order = order[:limit]
        why = _why(asked, matches, table, order[:EXPLAINED])
        best = np.clip(scores[order], 0, 1).tolist()
        return [
            Ranked(table.kinds[row].id, score, why.get(row, ()))
            for row, score in zip(order.tolist(), best, strict=True)
        ]

    def _known_terms(self) -> Terms:
        if self._terms is None or len(self._terms) > _MAX_TERMS:
            self._terms = Terms(word_vectors())
            self._compiled.clear()
        return self._terms

    def _all(self, kinds: Sequence[Phrase]) -> list[Compiled]:
        terms = self._known_terms()
        new = [one for one in kinds if (one.id, one.text) not in self._compiled]
        vectors = terms.vectors.embed([kind.text for kind in new])
        for kind, vector in zip(new, vectors, strict=True):
            self._compiled[kind.id, kind.text] = compiled(kind, vector, terms)
        found = []
        for kind in kinds:
            self._compiled.move_to_end((kind.id, kind.text))
            found.append(self._compiled[kind.id, kind.text])
        while len(self._compiled) > _REMEMBERED:
            self._compiled.popitem(last=False)
        return found


class _Matched(NamedTuple):
    """How one word of the question matches the kinds."""

    by_term: Floats
    """Each kind's each feature."""
    best: Floats
    """Each kind's best, or what its words match one by one."""
    opposed: Flags
    """Whether the kind does the opposite."""


def _match(asked: Asked, similarity: Similarity, table: KindTable) -> _Matched:
    similar, opposed = similarity.of(asked.term)
    by_term = similar[table.places] * table.said
    if asked.is_operation:
        foreign = ~table.own & similarity.operations[table.places]
        by_term = np.where(foreign, by_term * OPERATION_OF_OTHERS, by_term)
    best = table.largest(by_term)
    one_by_one = []
    for part in asked.parts:
        matched = similarity.of(part)[0][table.places] * table.said
        if len(part) == 1:
            one_by_one.append(table.largest(matched))
        by_term = np.maximum(by_term, matched * PARTS)
    if one_by_one:
        best = np.maximum(best, np.mean(one_by_one, axis=0) * PARTS)
    return _Matched(by_term, best, table.some(opposed[table.places] & table.own))


def _said(
    asked: Sequence[Asked], matches: Sequence[_Matched], table: KindTable
) -> tuple[Floats, Floats]:
    """How well each kind says the question, and the question each kind."""
    if not matches:
        nothing = np.zeros(len(table), np.float32)
        return nothing, nothing
    by_term = np.max([one.by_term for one in matches], axis=0)
    acts = table.some(table.own)
    # An operation that the question asks for and the kind does: others are then mere attributes,
    # as in "read a stored secret".
    does = table.largest(np.where(table.own, by_term, 0)) >= _MATCHES
    said = np.zeros(len(table), np.float32)
    for one, match in zip(asked, matches, strict=True):
        best = match.best
        if one.is_operation:
            lacks = ~does & (best < _MATCHES)
            other = lacks & acts & (best < _CLASHES_BELOW)
            best = np.where(lacks & match.opposed, OPPOSED, np.where(other, OTHER, best))
        said += one.weight * best
    said /= sum(one.weight for one in asked)
    needed = table.total(table.needed)
    counted: Floats = np.where(needed > 0, needed, np.float32(1))
    return said, table.total(by_term * table.needed) / counted


def _given(table: KindTable, nearness: Mapping[PhraseId, float]) -> Floats:
    mean = sum(nearness.values()) / len(nearness)
    return np.array([nearness.get(kind.id, mean) for kind in table.kinds], np.float32)


def _why(
    asked: Sequence[Asked],
    matches: Sequence[_Matched],
    table: KindTable,
    rows: npt.NDArray[np.intp],
) -> dict[int, tuple[Match, ...]]:
    """What matches in each of some rows."""
    found: dict[int, tuple[Match, ...]] = {}
    for row in rows.tolist():
        of_row = table.features_of(row)
        matched = []
        for one, match in zip(asked, matches, strict=True):
            by_term = match.by_term[of_row]
            place = int(by_term.argmax())
            strength = float(by_term[place])
            if strength >= _MATCHES:
                term = table.all_terms[table.used[table.places[of_row.start + place]]]
                matched.append(Match(one.text, " ".join(term), min(strength, 1.0)))
        found[row] = tuple(matched)
    return found
