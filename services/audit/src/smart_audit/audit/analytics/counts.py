"""Counts as the database gives them, before the values are put into words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from smart_audit.audit.analytics.query import Span
from smart_audit.audit.filters import Expression
from smart_audit.audit.meaning.phrases import PhraseId


@dataclass(frozen=True, slots=True)
class Scope:
    """Which events are counted: those that satisfy all three."""

    span: Span
    kinds: Sequence[PhraseId] | None = None
    """Of these kinds; None is any."""
    condition: Expression | None = None
    """What else they must satisfy."""


class Extent(NamedTuple):
    """How many events there are, and when the first and the last of them happened."""

    total: int
    first: datetime | None
    last: datetime | None


class Keyed(NamedTuple):
    """A value that events have in common, as the database has it, and how many do."""

    key: str
    events: int


class Listed(NamedTuple):
    """The most frequent values of a field, and how many others there are."""

    top: Sequence[Keyed]
    groups: int
    """All of them, those at the top included."""
    events: int
    """Those in all groups; one that is in several counts in each."""


NOTHING_LISTED = Listed((), 0, 0)


@dataclass(frozen=True, slots=True)
class Counts:
    """Events by the fields and the pieces of time that were asked for; pieces are numbered from 0.

    Without a time line, all events are in piece 0.
    """

    pieces: Mapping[int, int]
    """All events; empty for fields of which an event may have several values."""
    rows: Listed = NOTHING_LISTED
    columns: Listed = NOTHING_LISTED
    of_rows: Mapping[tuple[str, int], int] = field(default_factory=dict)
    of_columns: Mapping[tuple[str, int], int] = field(default_factory=dict)
    cells: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
