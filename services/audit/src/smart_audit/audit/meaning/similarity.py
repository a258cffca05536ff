"""How similar two terms are: by the lexicon, by their words, by their vectors."""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from smart_audit.audit.meaning.lexicon import CORE, LOOSE, lexicon
from smart_audit.audit.meaning.word_vectors import DIMENSIONS, WordVectors
from smart_audit.audit.meaning.wording import Term

SAME_CONCEPT: Final = 0.9
"""Of two terms that are both a concept's own words."""
BOTH_LOOSE: Final = 0.3
"""Of two that both only may stand for it, as a part of the above."""
SAME_HEAD: Final = 0.6
"""Of terms that share their last word: "access key" and "key"."""
SHARED_WORD: Final = 0.35
VECTORS_FROM: Final = 0.15
VECTORS_TO: Final = 0.65
"""The cosines that count nothing, and as much as they can."""
VECTORS_COUNT: Final = 0.75
KNOWN_COUNT: Final = 0.6
"""What cosines count, as a part of the above, of terms that the lexicon tells apart."""
_MATCHES: Final = 0.5
_GROWTH: Final = 1024

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]


class Terms:
    """The terms that have been met, numbered, with their vectors and concepts."""

    def __init__(self, vectors: WordVectors) -> None:
        self.vectors = vectors
        self._numbers: dict[Term, int] = {}
        self._terms: list[Term] = []
        self._by_word: dict[str, list[int]] = {}
        self._vectors = np.zeros((_GROWTH, DIMENSIONS), np.float16)
        # A row for each concept, since a question looks at few of them.
        self._said = np.zeros((lexicon().size, _GROWTH), np.float16)
        self._opposed = np.zeros((lexicon().size, _GROWTH), bool)
        self._known = np.zeros(_GROWTH, bool)
        self._operations = np.zeros(_GROWTH, bool)

    def __len__(self) -> int:
        return len(self._terms)

    def __getitem__(self, number: int) -> Term:
        return self._terms[number]

    def numbers(self, terms: Sequence[Term]) -> Numbers:
        """The numbers of terms; new ones get one."""
        new = [term for term in terms if term not in self._numbers]
        if new:
            self._add(list(dict.fromkeys(new)))
        return np.array([self._numbers[term] for term in terms], np.int32)

    def number(self, term: Term) -> int | None:
        """The number of a term that has been met."""
        return self._numbers.get(term)

    def sharing_words(self, term: Term) -> set[int]:
        """The terms that have a word of this one."""
        return {number for word in term for number in self._by_word.get(word, ())}

    def matrix(self, numbers: Numbers) -> Floats:
        """Vectors, a row for each term."""
        found: Floats = self._vectors[numbers].astype(np.float32)
        return found

    def said(self, concept: int, numbers: Numbers) -> Floats:
        """How well each term says a concept."""
        found: Floats = self._said[concept, numbers].astype(np.float32)
        return found

    def opposed(self, concept: int, numbers: Numbers) -> Flags:
        """Which terms say the opposite of a concept."""
        found: Flags = self._opposed[concept, numbers]
        return found

    def known(self, numbers: Numbers) -> Flags:
        """Which terms the lexicon has."""
        return self._known[numbers]

    def operations(self, numbers: Numbers) -> Flags:
        """Which terms are operations."""
        return self._operations[numbers]

    def _add(self, terms: Sequence[Term]) -> None:
        first, end = len(self._terms), len(self._terms) + len(terms)
        self._reserve(end)
        self._vectors[first:end] = self.vectors.embed([" ".join(term) for term in terms])
        words = lexicon()
        for number, term in enumerate(terms, first):
            self._numbers[term] = number
            self._terms.append(term)
            for word in set(term):
                self._by_word.setdefault(word, []).append(number)
            self._operations[number] = term in words.operations
            for concept, strength in words.concepts.get(term, {}).items():
                self._known[number] = True
                self._said[concept, number] = strength
                if strength >= CORE:
                    self._opposed[:, number] |= words.opposed[concept]

    def _reserve(self, size: int) -> None:
        missing = size - len(self._known)
        if missing > 0:
            more = max(missing, len(self._known))
            self._vectors = np.pad(self._vectors, ((0, more), (0, 0)))
            self._said = np.pad(self._said, ((0, 0), (0, more)))
            self._opposed = np.pad(self._opposed, ((0, 0), (0, more)))
            self._known = np.pad(self._known, (0, more))
            self._operations = np.pad(self._operations, (0, more))


class Similarity:
    """How similar terms of a question are to some of the terms that have been met."""

    def __init__(self, terms: Terms, used: Numbers, asked: Collection[Term]) -> None:
        """used: the numbers of the terms to compare with, in ascending order.

        asked: the terms of the question.
        """
        self._terms = terms
        vectors = terms.vectors.embed([" ".join(term) for term in asked])
        self._asked = dict(zip(asked, vectors, strict=True))
        self._used = used
        self._matrix = terms.matrix(used)
        self._known = terms.known(used)
        self.operations = terms.operations(used)
        """Which of the terms are operations."""

    def of(self, asked: Term) -> tuple[Floats, Flags]:
        """The similarities of a term, 0 to 1, and which terms say the opposite of it."""
        similar = self._by_vectors(asked)
        opposed = np.zeros(len(similar), bool)
        for concept, strength in lexicon().concepts.get(asked, {}).items():
            said = self._terms.said(concept, self._used)
            similar = np.maximum(similar, _by_concept(said, strength))
            if strength >= CORE:
                opposed |= self._terms.opposed(concept, self._used)
        opposed &= similar < _MATCHES
        self._by_words(asked, similar)
        same = self._terms.number(asked)
        if same is not None and (place := self._place(same)) is not None:
            similar[place] = 1
        return similar, opposed

    def _place(self, number: int) -> int | None:
        place = int(np.searchsorted(self._used, number))
        return place if place < len(self._used) and self._used[place] == number else None

    def _by_vectors(self, asked: Term) -> Floats:
        scaled = (self._matrix @ self._asked[asked] - VECTORS_FROM) / (VECTORS_TO - VECTORS_FROM)
        similar: Floats = np.clip(scaled, 0, 1) * np.float32(VECTORS_COUNT)
        if asked in lexicon().concepts:
            similar = np.where(self._known, similar * np.float32(KNOWN_COUNT), similar)
        return similar

    def _by_words(self, asked: Term, similar: Floats) -> None:
        for number in self._terms.sharing_words(asked):
            place = self._place(number)
            term = self._terms[number]
            if place is None or len(term) + len(asked) == 2:  # noqa: PLR2004 - two single words
                continue
            shared = len(set(term) & set(asked)) / min(len(set(term)), len(set(asked)))
            weight = SAME_HEAD if term[-1] == asked[-1] else SHARED_WORD
            similar[place] = max(similar[place], weight * shared)


def _by_concept(said: Floats, strength: float) -> Floats:
    """The similarity of terms that say a concept, each so well, to one that says it `strength`."""
    together = np.minimum(said, np.float32(strength))
    if strength <= LOOSE:
        together = np.where(said < CORE, np.float32(BOTH_LOOSE), together)
    return np.where(said > 0, together * np.float32(SAME_CONCEPT), np.float32(0))
