"""Rank kinds of event by how well they answer a question.

Three similarities are added up. `said`: each word of the question finds the term of the kind that
says it best, by the lexicon, or else by word vectors (late interaction). `needed`: how much of the
kind the question says in turn, so that of two kinds with the same words the plainer one comes
first. `near`: the cosine of the texts' vectors. What was tried, and the figures: ADR 0014.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from smart_audit.audit.meaning.features import DESCRIBED, features
from smart_audit.audit.meaning.phrases import Phrase, PhraseId
from smart_audit.audit.meaning.question import Asked, ask
from smart_audit.audit.meaning.similarity import Flags, Floats, Numbers, Similarity, Terms
from smart_audit.audit.meaning.word_vectors import Vectors, word_vectors

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
_REMEMBERED: Final = 20_000
"""Kinds whose features are kept; one takes about 1 KiB."""
_MAX_TERMS: Final = 20_000
"""One takes about 1 KiB, too. When there are more, all are forgotten."""
_FEATURE: Final = np.dtype([("term", "i4"), ("said", "f4"), ("needed", "f4"), ("own", "?")])


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


class _Compiled(NamedTuple):
    """What is kept of a kind, as bytes, which are joined faster than arrays."""

    features: bytes
    vector: bytes
    """Of its text, in half precision."""


class _Table(NamedTuple):
    """The features of many kinds: a row for each, filled up with terms that count nothing."""

    terms: npt.NDArray[np.intp]
    """Places in `used`."""
    said: Floats
    needed: Floats
    own: Flags
    used: Numbers
    """Numbers of terms."""


class Ranker:
    """Ranks by what it has learnt of kinds before; it may be used by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._terms: Terms | None = None
        self._compiled: OrderedDict[tuple[PhraseId, str], _Compiled] = OrderedDict()

    async def rank(
        self,
        query: str,
        phrases: Sequence[Phrase],
        nearness: Mapping[PhraseId, float] | None = None,
    ) -> list[Ranked]:
        """All the phrases, the best answer first. It is done in a thread.

        nearness: cosines of the question's vector and the phrases', by another model than the
        word vectors; of phrases that have none it is taken to be the mean.
        """
        return await asyncio.to_thread(self.rank_now, query, phrases, nearness)

    def rank_now(
        self,
        query: str,
        phrases: Sequence[Phrase],
        nearness: Mapping[PhraseId, float] | None = None,
    ) -> list[Ranked]:
        """The same in this thread."""
        if not phrases:
            return []
        with self._lock:
            compiled = self._all(phrases)
            terms = self._known_terms()
            asked = ask(query)
            table = _table(compiled)
            asked_terms = {term for one in asked for term in (one.term, *one.parts)}
            similarity = Similarity(terms, table.used, asked_terms)
            near = (
                _given(phrases, nearness)
                if nearness
                else _cosines(terms.vectors.embed([query])[0], compiled)
            )
            matches = [_match(one, similarity, table) for one in asked]
            said, needed = _said(asked, matches, table)
            scores = (said + NEEDED * needed + NEAR * near) / (1 + NEEDED + NEAR)
            order = np.lexsort(([phrase.id for phrase in phrases], -scores))
            why = _why(asked, matches, table, terms, order[:EXPLAINED])
            return [
                Ranked(phrases[row].id, min(max(float(scores[row]), 0.0), 1.0), why.get(row, ()))
                for row in order
            ]

    def _known_terms(self) -> Terms:
        if self._terms is None or len(self._terms) > _MAX_TERMS:
            self._terms = Terms(word_vectors())
            self._compiled.clear()
        return self._terms

    def _all(self, phrases: Sequence[Phrase]) -> list[_Compiled]:
        terms = self._known_terms()
        new = [one for one in phrases if (one.id, one.text) not in self._compiled]
        vectors = terms.vectors.embed([phrase.text for phrase in new])
        for phrase, vector in zip(new, vectors, strict=True):
            self._compiled[phrase.id, phrase.text] = _compile(phrase, vector, terms)
        found = []
        for phrase in phrases:
            self._compiled.move_to_end((phrase.id, phrase.text))
            found.append(self._compiled[phrase.id, phrase.text])
        while len(self._compiled) > _REMEMBERED:
            self._compiled.popitem(last=False)
        return found


class _Matched(NamedTuple):
    """How one word of the question matches the kinds."""

    by_term: Floats
    """Each kind's each term."""
    best: Floats
    """Each kind's best, or what its words match one by one."""
    opposed: Flags
    """Whether the kind does the opposite."""


def _compile(phrase: Phrase, vector: Vectors, terms: Terms) -> _Compiled:
    found = features(phrase, phrase.text.partition(DESCRIBED)[2])
    compiled = np.empty(len(found), _FEATURE)
    compiled["term"] = terms.numbers([one.term for one in found])
    compiled["said"] = [one.said for one in found]
    compiled["needed"] = [one.needed for one in found]
    compiled["own"] = [one.is_operation for one in found]
    return _Compiled(compiled.tobytes(), vector.astype(np.float16).tobytes())


def _table(compiled: Sequence[_Compiled]) -> _Table:
    lengths = np.array([len(one.features) // _FEATURE.itemsize for one in compiled])
    filled = np.arange(lengths.max()) < lengths[:, None]
    table = np.zeros(filled.shape, _FEATURE)
    table[filled] = np.frombuffer(b"".join(one.features for one in compiled), _FEATURE)
    used, places = np.unique(table["term"], return_inverse=True)
    said, needed, own = (np.ascontiguousarray(table[name]) for name in ("said", "needed", "own"))
    return _Table(places.reshape(filled.shape), said, needed, own, used)


def _match(asked: Asked, similarity: Similarity, table: _Table) -> _Matched:
    similar, opposed = similarity.of(asked.term)
    by_term = similar[table.terms] * table.said
    if asked.is_operation:
        foreign = ~table.own & similarity.operations[table.terms]
        by_term = np.where(foreign, by_term * OPERATION_OF_OTHERS, by_term)
    best = by_term.max(1)
    one_by_one = []
    for part in asked.parts:
        matched = similarity.of(part)[0][table.terms] * table.said
        if len(part) == 1:
            one_by_one.append(matched.max(1))
        by_term = np.maximum(by_term, matched * PARTS)
    if one_by_one:
        best = np.maximum(best, np.mean(one_by_one, axis=0) * PARTS)
    against = np.any(opposed[table.terms] & table.own, axis=1)
    return _Matched(by_term, best, np.asarray(against))


def _said(
    asked: Sequence[Asked], matches: Sequence[_Matched], table: _Table
) -> tuple[Floats, Floats]:
    """How well each kind says the question, and the question each kind."""
    if not matches:
        nothing = np.zeros(len(table.terms), np.float32)
        return nothing, nothing
    by_term = np.max([one.by_term for one in matches], axis=0)
    acts = table.own.any(1)
    # An operation that the question asks for and the kind does: others are then mere attributes,
    # as in "read a stored secret".
    does = np.where(table.own, by_term, 0).max(1) >= _MATCHES
    said = np.zeros(len(table.terms), np.float32)
    for one, match in zip(asked, matches, strict=True):
        best = match.best
        if one.is_operation:
            lacks = ~does & (best < _MATCHES)
            other = lacks & acts & (best < _CLASHES_BELOW)
            best = np.where(lacks & match.opposed, OPPOSED, np.where(other, OTHER, best))
        said += one.weight * best
    said /= sum(one.weight for one in asked)
    needed = table.needed.sum(1)
    return said, (by_term * table.needed).sum(1) / np.where(needed > 0, needed, 1)


def _given(phrases: Sequence[Phrase], nearness: Mapping[PhraseId, float]) -> Floats:
    mean = sum(nearness.values()) / len(nearness)
    return np.array([nearness.get(phrase.id, mean) for phrase in phrases], np.float32)


def _cosines(vector: Vectors, compiled: Sequence[_Compiled]) -> Floats:
    vectors = np.frombuffer(b"".join(one.vector for one in compiled), np.float16)
    return vectors.reshape(len(compiled), -1).astype(np.float32) @ vector


def _why(
    asked: Sequence[Asked],
    matches: Sequence[_Matched],
    table: _Table,
    terms: Terms,
    rows: npt.NDArray[np.intp],
) -> dict[int, tuple[Match, ...]]:
    """What matches in each of some rows."""
    found: dict[int, list[Match]] = {int(row): [] for row in rows}
    for one, match in zip(asked, matches, strict=True):
        by_term = match.by_term[rows]
        places = by_term.argmax(1)
        strengths = by_term[np.arange(len(rows)), places]
        for row, place, strength in zip(rows, places, strengths, strict=True):
            if strength >= _MATCHES:
                term = terms[table.used[table.terms[row, place]]]
                found[int(row)].append(Match(one.text, " ".join(term), min(float(strength), 1.0)))
    return {row: tuple(matched) for row, matched in found.items()}
