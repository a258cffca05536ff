"""The answer: counts with the values in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from smart_audit.audit.analytics.query import Field
from smart_audit.audit.analytics.time_line import Bucket
from smart_audit.audit.filters import Expression


class Piece(NamedTuple):
    """A piece of the time line, without its end, and how many events happened in it."""

    start: datetime
    end: datetime
    events: int


class Cell(NamedTuple):
    """How many events a row and a column have in common, and how many in each piece."""

    events: int
    over_time: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Events that have a value in common."""

    value: str
    events: int
    erased: bool = False
    """Whether the value can no longer be read."""
    filter: Expression | None = None
    """What asks for these events; None where nothing can."""
    over_time: Sequence[int] = ()
    cells: Sequence[Cell] = ()
    """What it has in common with each column."""


class Others(NamedTuple):
    """Groups that are not listed, and the events in them."""

    groups: int
    events: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What was counted."""

    total: int
    groups: Sequence[Group]
    other: Others
    columns: Sequence[Group]
    other_columns: Others
    pieces: Sequence[Piece]
    bucket: Bucket | None
    distinct: Sequence[tuple[Field, int]]
    log_size: int
    """How many entries of the log were counted over."""
