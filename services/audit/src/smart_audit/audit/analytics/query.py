"""What can be counted, and by what: fields, how many groups, which combinations make sense."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from smart_audit.audit.analytics.time_line import Bucket
from smart_audit.audit.errors import AggregationInvalid

DEFAULT_TOP = 10
MAX_TOP = 100
MAX_TOP_OF_TWO = 50
MAX_TOP_OF_TWO_OVER_TIME = 20
MAX_FIELDS = 2


class Field(StrEnum):
    """What events can be counted by."""

    ACTION = "action"
    ACTOR = "actor.id"
    TARGET = "target.id"
    TARGET_TYPE = "target.type"
    OUTCOME = "outcome"
    OUTCOME_REASON = "outcome_reason"
    SOURCE = "source"
    ADDRESS = "source_address"
    KIND = "kind"

    @property
    def several(self) -> bool:
        """Whether an event may have several values, or none."""
        return self in (Field.TARGET, Field.TARGET_TYPE)


DISTINCT = (Field.ACTION, Field.ACTOR, Field.TARGET, Field.ADDRESS)
"""The fields whose distinct values are worth counting."""


class Span(NamedTuple):
    """A span of time in which events happened; None leaves an end open."""

    first: datetime | None = None
    before: datetime | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing can have happened in it."""
        return self.first is not None and self.before is not None and self.first >= self.before

    def within(self, other: "Span") -> "Span":
        """The span that both have in common."""
        firsts = [span.first for span in (self, other) if span.first is not None]
        befores = [span.before for span in (self, other) if span.before is not None]
        return Span(max(firsts, default=None), min(befores, default=None))


@dataclass(frozen=True, slots=True)
class Query:
    """What to count, apart from the filter."""

    span: Span
    fields: tuple[Field, ...]
    """None, one, or two against each other."""
    bucket: Bucket | None
    """None leaves the time line out."""
    zone: ZoneInfo
    top: int
    distinct: tuple[Field, ...]


def to_fields(names: Sequence[str]) -> tuple[Field, ...]:
    """The fields to count by. Raises: AggregationInvalid."""
    fields = tuple(_field(name, "group_by", tuple(Field)) for name in names)
    if len(fields) > MAX_FIELDS:
        raise invalid("group_by", "takes two fields at the most; count by others in another call")
    if len(set(fields)) < len(fields):
        raise invalid("group_by", f"names {fields[0]} twice; give another second field, or none")
    if set(fields) == {Field.TARGET, Field.TARGET_TYPE}:
        raise invalid(
            "group_by",
            "cannot set target.id against target.type, since an event may have several targets;"
            " filter by one of them",
        )
    return fields


def to_distinct(names: Sequence[str]) -> tuple[Field, ...]:
    """The fields whose values to count, each once. Raises: AggregationInvalid."""
    return tuple(dict.fromkeys(_field(name, "count_distinct", DISTINCT) for name in names))


def to_top(wanted: int, fields: Sequence[Field], bucket: Bucket | None) -> int:
    """How many groups to list; 0 is none in particular, and too many are made fewer."""
    most = MAX_TOP
    if len(fields) == MAX_FIELDS:
        most = MAX_TOP_OF_TWO if bucket is None else MAX_TOP_OF_TWO_OVER_TIME
    return min(wanted or DEFAULT_TOP, most)


def invalid(field: str, what: str) -> AggregationInvalid:
    """The refusal of a field of the request."""
    return AggregationInvalid(f"{field} {what}", fields={field: what})


def _field(name: str, of: str, among: Sequence[Field]) -> Field:
    for field in among:
        if name.strip().lower() == field:
            return field
    raise invalid(of, f"knows no {name!r}; it knows {', '.join(among)}")
