"""Understanding a question: which parts are filters, and which words are left."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from smart_audit.audit.questions.calendar import Clock
from smart_audit.audit.questions.identifiers import find_fields, find_identifiers
from smart_audit.audit.questions.people import find_people
from smart_audit.audit.questions.periods import read_period
from smart_audit.audit.questions.readings import Interpretation, Kind, Option, Reading, within
from smart_audit.audit.questions.tokens import tokenise

_QUOTES: Final = re.compile(r"\"[^\"]*\"|“[^”]*”")
_SLASHED: Final = re.compile(r"(?<![\w/.])\d{1,2}/\d{1,2}(?:/\d{4})?(?![\w/.])")
_UNCLEAR: Final = "may be one of two days; write the month by its name, or as in 2026-07-10"


@dataclass(frozen=True, slots=True)
class Question:
    """A question in words, and what its parts may mean."""

    text: str
    readings: Sequence[Reading]
    """In order, none overlaps another."""


def understand(text: str, clock: Clock) -> Question:
    """What the parts of a question may mean. Parts between quotes are left as they are."""
    kept = list(find_fields(text))
    taken = [(one.start, one.end) for one in kept]
    taken += [match.span() for match in _QUOTES.finditer(text)]
    for find in (find_identifiers, _times(clock), find_people, _ambiguous):
        for reading in find(text):
            if all(reading.end <= start or end <= reading.start for start, end in taken):
                kept.append(reading)
                taken.append((reading.start, reading.end))
    return Question(text, sorted(kept, key=lambda reading: reading.start))


def settled(reading: Reading, option: Option, text: str) -> Interpretation:
    """A part of the question with the meaning that was chosen."""
    part = text[option.start : option.end]
    return Interpretation(reading.kind, part, option.start, option.end, option.filter, reading.note)


def remaining(text: str, interpreted: Iterable[Interpretation]) -> str:
    """The question without the parts that are filters, for the ranking."""
    parts, at = [], 0
    for one in sorted(interpreted, key=lambda one: one.start):
        if one.kind != Kind.AMBIGUOUS:
            parts.append(text[at : one.start])
            at = one.end
    return " ".join(" ".join([*parts, text[at:]]).split())


def is_ignored(text: str, ignored: Collection[str]) -> bool:
    """Whether the caller does not want a part interpreted; capitals and spaces are all one."""
    return _folded(text) in {_folded(one) for one in ignored}


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _times(clock: Clock) -> Callable[[str], Iterable[Reading]]:
    def find(text: str) -> Iterable[Reading]:
        tokens = tokenise(text)
        at = 0
        while at < len(tokens):
            found = read_period(tokens, at, clock)
            if found is None:
                at += 1
                continue
            period, place = found
            option = Option(tokens[at].start, tokens[place - 1].end, within(period))
            yield Reading(Kind.TIME, [option], certain=True)
            at = place

    return find


def _ambiguous(text: str) -> Iterable[Reading]:
    for match in _SLASHED.finditer(text):
        option = Option(match.start(), match.end(), "")
        yield Reading(Kind.AMBIGUOUS, [option], certain=True, note=f"{match[0]} {_UNCLEAR}")
