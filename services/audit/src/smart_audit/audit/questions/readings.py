"""What a part of a question may mean: a filter, in the language of the lists' filters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from smart_audit.audit.questions.calendar import Period

NO_READS = 'NOT action="audit.event.*"'
"""The filter: no events that tell who has read the log: they hold the words looked for."""


class Kind(IntEnum):
    """What a part of a question names; the numbers are those of the protocol."""

    TIME = 1
    ADDRESS = 2
    EMAIL = 3
    ID = 4
    PERSON = 5
    FIELD = 6
    AMBIGUOUS = 7


class Option(NamedTuple):
    """One way to read a part of a question."""

    start: int
    """Where the part begins, in characters of the question."""
    end: int
    filter: str
    unless_word_of_kinds: str = ""
    """A word; when the kinds of event that the log has use it, the part is no name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a part may mean; the first option that finds anything in the log is taken."""

    kind: Kind
    options: Sequence[Option]
    certain: bool
    """Whether the first option holds even if none finds anything."""
    note: str = ""
    """For AMBIGUOUS: what to write instead."""

    @property
    def start(self) -> int:
        """Where the longest option begins."""
        return min(option.start for option in self.options)

    @property
    def end(self) -> int:
        """Where the longest option ends."""
        return max(option.end for option in self.options)


@dataclass(frozen=True, slots=True)
class Interpretation:
    """A part of the question that is taken as a filter, or as nothing for AMBIGUOUS."""

    kind: Kind
    text: str
    start: int
    """In characters of the question, as is `end`."""
    end: int
    filter: str
    note: str = ""

    @property
    def has_two_ends(self) -> bool:
        """Whether it is a time that begins and ends."""
        return self.kind == Kind.TIME and " AND " in self.filter


def equals(field: str, value: str) -> str:
    """The filter: a field has this value."""
    return f"{field}={quoted(value)}"


def has(field: str, value: str) -> str:
    """The filter: a field has these words."""
    return f"{field}:{quoted(value)}"


def any_of(*filters: str) -> str:
    """The filter: at least one holds."""
    return filters[0] if len(filters) == 1 else f"({' OR '.join(filters)})"


def anywhere(value: str) -> str:
    """The filter: any field has these words. What others have asked for is no answer."""
    return f"{quoted(value)} AND {NO_READS}"


def within(period: Period) -> str:
    """The filter: it happened then."""
    bounds = []
    if period.start is not None:
        bounds.append(f"occurred_at>={quoted(_iso(period.start))}")
    if period.end is not None:
        bounds.append(f"occurred_at<{quoted(_iso(period.end))}")
    return " AND ".join(bounds)


def quoted(value: str) -> str:
    """A string of the filter language, without wildcards."""
    escaped = re.sub(r'[\\"*]', r"\\\g<0>", value)
    return f'"{escaped}"'


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
