"""Kinds of event side by side, as the ranking compares them with a question.

A kind has few features, and one more or less than the next: they lie one behind the other, and what
is asked of each kind is asked of a run of them.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from smart_audit.audit.meaning.features import DESCRIBED, features
from smart_audit.audit.meaning.phrases import Phrase, PhraseId
from smart_audit.audit.meaning.similarity import Flags, Floats, Numbers, Terms
from smart_audit.audit.meaning.word_vectors import DIMENSIONS, Vectors

_FEATURE: Final = np.dtype([("term", "i4"), ("said", "f4"), ("needed", "f4"), ("own", "?")])


class Compiled(NamedTuple):
    """What is kept of a kind, as bytes, which are joined faster than arrays."""

    features: bytes
    """One at least."""
    vector: bytes
    """Of its text, in half precision."""


def compiled(phrase: Phrase, vector: Vectors, terms: Terms) -> Compiled:
    """A kind with its features, whose terms get numbers."""
    found = features(phrase, phrase.text.partition(DESCRIBED)[2])
    # A kind without a word has one feature that counts nothing.
    rows = np.zeros(max(len(found), 1), _FEATURE)
    if found:
        rows["term"] = terms.numbers([one.term for one in found])
        rows["said"] = [one.said for one in found]
        rows["needed"] = [one.needed for one in found]
        rows["own"] = [one.is_operation for one in found]
    return Compiled(rows.tobytes(), vector.astype(np.float16).tobytes())


class KindTable:
    """Some kinds of event, compiled.

    `places`, `said`, `needed` and `own` have a value for each feature of each kind.
    """

    def __init__(self, kinds: Sequence[Phrase], made: Sequence[Compiled], terms: Terms) -> None:
        """made: each of the kinds compiled. terms: those that their features have by number."""
        self.kinds = kinds
        self.ids = np.array([kind.id for kind in kinds], np.int64)
        self.all_terms = terms
        rows = np.frombuffer(b"".join([one.features for one in made]), _FEATURE)
        lengths = [len(one.features) // _FEATURE.itemsize for one in made]
        self._starts = np.cumsum([0, *lengths[:-1]])
        used, places = np.unique(rows["term"], return_inverse=True)
        self.used: Numbers = used
        """The numbers of the terms of all features, in ascending order."""
        self.places: npt.NDArray[np.intp] = places
        """The place in `used`."""
        self.said: Floats = np.ascontiguousarray(rows["said"])
        self.needed: Floats = np.ascontiguousarray(rows["needed"])
        self.own: Flags = np.ascontiguousarray(rows["own"])
        """Whether the term is the kind's own operation."""
        vectors = np.frombuffer(b"".join([one.vector for one in made]), np.float16)
        # In full precision, since to widen them takes as long as to compare them.
        self._vectors: Vectors = vectors.reshape(len(made), DIMENSIONS).astype(np.float32)

    def __len__(self) -> int:
        return len(self.kinds)

    def largest(self, values: Floats) -> Floats:
        """Each kind's largest of a value for each feature."""
        return np.maximum.reduceat(values, self._starts)

    def total(self, values: Floats) -> Floats:
        """Each kind's sum of a value for each feature."""
        return np.add.reduceat(values, self._starts)

    def some(self, flags: Flags) -> Flags:
        """Of which kinds any feature has a flag."""
        return np.logical_or.reduceat(flags, self._starts)

    def cosines(self, vector: Vectors) -> Floats:
        """Of each kind's text and another one."""
        found: Floats = self._vectors @ vector
        return found

    def features_of(self, row: int) -> slice:
        """Where the features of a kind lie."""
        end = self._starts[row + 1] if row + 1 < len(self) else len(self.places)
        return slice(int(self._starts[row]), int(end))

    def rows_of(self, ids: Collection[PhraseId]) -> Flags:
        """Which kinds have one of these ids."""
        return np.isin(self.ids, np.fromiter(ids, np.int64, len(ids)))
