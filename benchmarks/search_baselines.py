"""What search by meaning is compared with: BM25, and the nearest texts by word vectors."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from smart_audit.audit.meaning.phrases import PhraseKey
from smart_audit.audit.meaning.word_vectors import word_vectors
from smart_audit.audit.meaning.wording import words

Answer = Callable[[str], Iterator[PhraseKey]]
K1: Final = 1.2
B: Final = 0.75
"""Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009."""


def bm25(kinds: Mapping[PhraseKey, int]) -> Answer:
    """Rank by BM25 over the words of an event's public facts."""
    documents = [Counter(words(_facts(kind))) for kind in kinds]
    holding = Counter(word for document in documents for word in document)
    mean = sum(document.total() for document in documents) / len(documents)

    def weight(word: str, document: Counter[str]) -> float:
        rarity = math.log(1 + (len(documents) - holding[word] + 0.5) / (holding[word] + 0.5))
        length = 1 - B + B * document.total() / mean
        return rarity * document[word] * (K1 + 1) / (document[word] + K1 * length)

    def answer(query: str) -> Iterator[PhraseKey]:
        asked = words(query)
        scores = [sum(weight(word, one) for word in asked) for one in documents]
        return _events(kinds, np.array(scores))

    return answer


def nearest(kinds: Mapping[PhraseKey, int]) -> Answer:
    """Rank by the word vectors of an event's public facts."""
    vectors = word_vectors().embed([" ".join(words(_facts(kind))) for kind in kinds])

    def answer(query: str) -> Iterator[PhraseKey]:
        return _events(kinds, vectors @ word_vectors().embed([query])[0])

    return answer


def _facts(kind: PhraseKey) -> str:
    outcome = kind.outcome.name.lower()
    return " ".join((kind.action, *kind.target_types, outcome, kind.outcome_reason))


def _events(kinds: Mapping[PhraseKey, int], scores: np.ndarray) -> Iterator[PhraseKey]:
    ordered = list(kinds)
    for place in np.argsort(-scores, kind="stable"):
        kind = ordered[place]
        yield from [kind] * kinds[kind]
