"""The words of a question by which events are found that hold them."""

import re
import unicodedata
from typing import Final, NamedTuple

from smart_audit.audit.meaning.wording import is_idle
from smart_audit.audit.terms import asked_words

MAX_WORDS: Final = 12
"""Words of one question that are looked for in events."""
NAME_WEIGHT: Final = 1.0
WORD_WEIGHT: Final = 0.6
"""What an event's score gains if it has all words of the question, as names or as other words."""
_RUN: Final = re.compile(r"[^\W_]+")


class Words(NamedTuple):
    """Words that say something, in lower case, and which of them are written as names are."""

    all: tuple[str, ...]
    names: frozenset[str]

    def weight(self, matched: tuple[str, ...]) -> float:
        """What an event's score gains by some of the words."""
        count = max(len(self.all), 1)
        named = sum(word in self.names for word in matched)
        # One of several words is found by chance; a whole question is not.
        others = (len(matched) - named) / count
        return NAME_WEIGHT * named / count + WORD_WEIGHT * others**2


def words_of(question: str) -> Words:
    """The words of a question that an event can be found by."""
    runs = _RUN.findall(unicodedata.normalize("NFKC", question))
    kept = [run for run in runs if not is_idle(run.casefold()) and asked_words(run)][:MAX_WORDS]
    first = runs[0] if runs else ""
    names = {run.casefold() for run in kept if _is_name(run, first=run == first)}
    return Words(tuple(dict.fromkeys(run.casefold() for run in kept)), frozenset(names))


def _is_name(run: str, *, first: bool) -> bool:
    """Whether a word names: it has a digit, or a capital that no sentence puts there."""
    if any(map(str.isdigit, run)):
        return True
    return any(map(str.isupper, run[1:])) or (run[0].isupper() and not first)
