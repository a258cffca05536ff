"""The vocabulary of audit events: which words mean the same operation or the same thing."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from smart_audit.audit.meaning import vocabulary
from smart_audit.audit.meaning.wording import Term, is_idle, stem, words

CORE: Final = 1.0
"""How well a word says a concept whose own word it is."""
LOOSE: Final = 0.6
"""How well a word says a concept that it may stand for."""

_OPPOSITES: Final = (
    "create/delete create/revoke create/disable create/update add/delete grant/delete"
    " attach/delete enable/delete update/delete launch/delete enable/disable suspend/enable"
    " start/stop launch/stop grant/revoke open_up/revoke attach/detach encrypt/decrypt"
    " login/logout lock/unlock approve/reject invite/expel join/leave hire/fire import/export"
    " upload/download archive/restore read/update read/delete read/create read/add read/write"
    " list/delete list/update list/create success/fail success/deny inbound/outbound"
)
_SHORTEST_COMPOUND: Final = 8
_SHORTEST_PART: Final = 3


class Unit(NamedTuple):
    """A word of a text, or words that mean one thing together."""

    term: Term
    parts: tuple[Term, ...]
    """The terms inside a term of several words; none of a word."""
    first: int
    """The place of its first word."""
    end: int
    """The place after its last."""


class Lexicon:
    """What is known of words. One for all; reading it takes some milliseconds."""

    def __init__(self) -> None:
        operations, things = _read("operations.txt"), _read("things.txt")
        names = [*operations, *things]
        self.concepts: Mapping[Term, Mapping[int, float]] = _concepts(operations | things, names)
        """For each known term the numbers of its concepts, and how well it says each."""
        self.terms: Sequence[Sequence[Term]] = [
            list(said) for said in (operations | things).values()
        ]
        """The terms of each concept."""
        self.size = len(names)
        """How many concepts there are."""
        count = self.operations_end = len(operations)
        self.operations = frozenset(
            term
            for term, said in self.concepts.items()
            if any(concept < count and strength == CORE for concept, strength in said.items())
        )
        """Terms that are an operation's own words."""
        self.things = frozenset(
            term
            for term, said in self.concepts.items()
            if any(concept >= count for concept in said)
        )
        """Terms that may be things."""
        self.opposed = _opposed(names)
        """Whether two concepts exclude each other."""
        self.names = dict(_pairs("names.txt", ":"))
        """What names of services and abbreviations stand for, by the name in lower case."""
        self.told = dict(_pairs("told.txt", "="))
        """What the name of an operation does not say, by action."""
        self._longest = max(map(len, self.concepts))
        self._surfaces = frozenset(
            word
            for name in ("operations.txt", "things.txt")
            for line in vocabulary.lines(name)
            for word in words(line)
            if len(word) >= _SHORTEST_PART
        )

    @lru_cache(maxsize=8192)  # noqa: B019 - there is one lexicon
    def read(self, text: str) -> tuple[tuple[str, ...], tuple[Unit, ...]]:
        """The words of a text, and the units in it: the longest known terms, and other words.

        Kinds of event have most of their texts in common, which are remembered.
        """
        found = tuple(part for word in words(text) for part in self._split(word))
        return found, tuple(self._units(found))

    def _units(self, found: Sequence[str]) -> Iterator[Unit]:
        stems = [stem(word) for word in found]
        place = 0
        while place < len(stems):
            length = self._match(stems, place)
            if length > 1:
                parts = self._parts(found, stems, place, length)
                yield Unit(tuple(stems[place : place + length]), parts, place, place + length)
            elif not is_idle(found[place]):
                yield Unit((stems[place],), (), place, place + 1)
            place += length

    def _match(self, stems: Sequence[str], place: int) -> int:
        for length in range(min(self._longest, len(stems) - place), 1, -1):
            if tuple(stems[place : place + length]) in self.concepts:
                return length
        return 1

    def _parts(
        self, found: Sequence[str], stems: Sequence[str], place: int, length: int
    ) -> tuple[Term, ...]:
        inside = [
            (first, first + size)
            for size in range(length - 1, 0, -1)
            for first in range(place, place + length - size + 1)
        ]
        return tuple(
            tuple(stems[first:end])
            for first, end in inside
            if (end - first > 1 and tuple(stems[first:end]) in self.concepts)
            or (end - first == 1 and not is_idle(found[first]))
        )

    @lru_cache(maxsize=8192)  # noqa: B019 - there is one lexicon
    def _split(self, word: str) -> tuple[str, ...]:
        """A compound that is written as one word: "rolebindings": role, bindings."""
        if len(word) < _SHORTEST_COMPOUND or (stem(word),) in self.concepts:
            return (word,)
        best: dict[int, tuple[str, ...]] = {0: ()}
        for end in range(_SHORTEST_PART, len(word) + 1):
            for first in range(end - _SHORTEST_PART + 1):
                part = word[first:end]
                if first in best and self._is_surface(part):
                    parts = (*best[first], part)
                    if end not in best or len(parts) < len(best[end]):
                        best[end] = parts
        return best.get(len(word), (word,))

    def _is_surface(self, part: str) -> bool:
        singular = part[:-3] + "y" if part.endswith("ies") else part.removesuffix("s")
        return part in self._surfaces or singular in self._surfaces


@cache
def lexicon() -> Lexicon:
    """The one lexicon."""
    return Lexicon()


def _pairs(name: str, separator: str) -> Iterator[tuple[str, str]]:
    for line in vocabulary.lines(name):
        key, _, value = line.partition(separator)
        yield key.strip(), value.strip()


def _read(name: str) -> dict[str, dict[Term, float]]:
    """The concepts of a text, each with its terms."""
    found: dict[str, dict[Term, float]] = {}
    for concept, value in _pairs(name, ":"):
        core, _, loose = value.partition(";")
        terms = {_term(word): LOOSE for word in loose.split(",")}
        terms |= {_term(word): CORE for word in core.split(",")}
        terms.pop((), None)
        found[concept] = terms
    return found


def _term(text: str) -> Term:
    return tuple(stem(word) for word in words(text))


def _concepts(
    read: Mapping[str, Mapping[Term, float]], names: Sequence[str]
) -> dict[Term, dict[int, float]]:
    numbers = {name: number for number, name in enumerate(names)}
    found: dict[Term, dict[int, float]] = {}
    for name, terms in read.items():
        for term, strength in terms.items():
            found.setdefault(term, {})[numbers[name]] = strength
    return found


def _opposed(names: Sequence[str]) -> npt.NDArray[np.bool_]:
    matrix = np.zeros((len(names), len(names)), bool)
    for pair in _OPPOSITES.split():
        one, other = (names.index(name.replace("_", " ")) for name in pair.split("/"))
        matrix[one, other] = matrix[other, one] = True
    return matrix
