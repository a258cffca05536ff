"""A question in words as what it asks for."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from smart_audit.audit.meaning.features import is_light
from smart_audit.audit.meaning.lexicon import LOOSE, Lexicon, Unit, lexicon
from smart_audit.audit.meaning.wording import Term, is_idle, stem

OPERATION_WEIGHT: Final = 0.8
LIGHT_WEIGHT: Final = 0.5
ATTRIBUTE: Final = 0.4
"""What a participle before a noun counts: running in "running machines"."""
_DETERMINERS: Final = frozenset({"a", "all", "an", "any", "every", "the"})
MAX_ASKED: Final = 32
"""Terms of a question; further ones are not looked at."""


class Asked(NamedTuple):
    """A term that is asked for."""

    term: Term
    parts: tuple[Term, ...]
    text: str
    """As it was written, in lower case."""
    weight: float
    is_operation: bool
    """Whether it can only say what is done."""


@lru_cache(maxsize=256)
def ask(query: str) -> tuple[Asked, ...]:
    """What a question asks for, each term once."""
    known = lexicon()
    words, units = known.read(query)
    found: dict[Term, Asked] = {}
    for unit in units:
        found.setdefault(unit.term, _asked(unit, words, known))
    return tuple(found.values())[:MAX_ASKED]


def search_words(query: str, limit: int = 200) -> list[str]:
    """Words that an answer may hold, the likeliest first, for a full text that finds candidates.

    They are the question's, and those that the lexicon knows to mean the same.
    """
    asked = ask(query)
    found = dict.fromkeys(word for one in asked for word in one.text.split() if not is_idle(word))
    for one in asked:
        found |= dict.fromkeys(_synonyms(one))
    return list(found)[:limit]


def _synonyms(asked: Asked) -> Iterator[str]:
    known = lexicon()
    for term in (asked.term, *asked.parts):
        said = known.concepts.get(term, {})
        for concept, strength in said.items():
            for other in known.terms[concept]:
                if strength > LOOSE or known.concepts[other][concept] > LOOSE:
                    yield " ".join(other)


def _asked(unit: Unit, words: Sequence[str], known: Lexicon) -> Asked:
    operates = unit.term in known.operations and unit.term not in known.things
    weight = OPERATION_WEIGHT if operates else LIGHT_WEIGHT if is_light(unit) else 1.0
    if unit.term in known.operations and _is_attribute(unit, words, known):
        weight *= ATTRIBUTE
        operates = False
    text = " ".join(words[unit.first : unit.end])
    return Asked(unit.term, unit.parts, text, weight, operates)


def _is_attribute(unit: Unit, words: Sequence[str], known: Lexicon) -> bool:
    """Whether an operation stands before a noun as "a stored secret" and "running machines" do."""
    if unit.end - unit.first > 1 or unit.end == len(words) or is_idle(words[unit.end]):
        return False
    word = words[unit.first]
    if word.endswith("ing"):
        return (stem(words[unit.end]),) not in known.operations
    return word.endswith("ed") and unit.first > 0 and words[unit.first - 1] in _DETERMINERS
