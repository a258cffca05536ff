"""What a filter says, once it is read and checked: an expression over the fields of an event."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import TypeAlias
from uuid import UUID

from smart_audit.audit.domain import Filter, Outcome

_PLAIN = re.compile(r"[^\s()\"',=<>!:.\\*-][^\s()\"',=<>!:.\\*]*")
_ESCAPED = {"\\": "\\\\", '"': '\\"', "*": "\\*", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Comparator(StrEnum):
    """How a field is compared; as it is spelt."""

    HAS = ":"
    EQUALS = "="
    NOT_EQUALS = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


class Presence(Enum):
    """The value of `field:*`."""

    PRESENT = "*"


PRESENT = Presence.PRESENT


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text with wildcards: what stands between them. There is one wildcard at least."""

    pieces: tuple[str, ...]

    def matches(self, text: str) -> bool:
        """Whether a whole text is like this."""
        first, *middle, last = self.pieces
        if len(text) < len(first) + len(last):
            return False
        if not (text.startswith(first) and text.endswith(last)):
            return False
        place, end = len(first), len(text) - len(last)
        for piece in middle:
            found = text.find(piece, place, end)
            if found < 0:
                return False
            place = found + len(piece)
        return True


Value: TypeAlias = str | int | datetime | UUID | Outcome | Pattern | Presence


@dataclass(frozen=True, slots=True)
class And:
    """All of several, at least two."""

    parts: "tuple[Expression, ...]"

    def __str__(self) -> str:
        return " AND ".join(_within(part, Or) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Any of several, at least two."""

    parts: "tuple[Expression, ...]"

    def __str__(self) -> str:
        return " OR ".join(_within(part, And) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    part: "Expression"

    def __str__(self) -> str:
        return f"NOT {_within(self.part, And, Or, Not)}"


@dataclass(frozen=True, slots=True)
class Words:
    """That an event has all words of a text, in any of its fields."""

    text: str

    def __str__(self) -> str:
        return _quoted(self.text)


@dataclass(frozen=True, slots=True)
class Condition:
    """What is asked of one field.

    field: a name of `FIELDS`, or a path below `metadata.`. The value is of the field's type.
    """

    field: str
    comparator: Comparator
    value: Value

    def __str__(self) -> str:
        name = ".".join(_segment(segment) for segment in self.field.split("."))
        return f"{name}{self.comparator}{_spelt(self.value)}"


Expression: TypeAlias = And | Or | Not | Words | Condition


def conjunction(parts: Iterable[Expression]) -> Expression:
    """All of one or more; what is nested in vain is one."""
    flat = tuple(_flattened(parts, And))
    return flat[0] if len(flat) == 1 else And(flat)


def disjunction(parts: Iterable[Expression]) -> Expression:
    """Any of one or more; what is nested in vain is one."""
    flat = tuple(_flattened(parts, Or))
    return flat[0] if len(flat) == 1 else Or(flat)


def conditions(expression: Expression) -> Iterator[Condition]:
    """The conditions in an expression, from left to right."""
    match expression:
        case And(parts) | Or(parts):
            for part in parts:
                yield from conditions(part)
        case Not(part):
            yield from conditions(part)
        case Condition():
            yield expression


def conditions_of(narrow: Filter) -> Iterator[Condition]:
    """The conditions that the fields of a filter are."""
    asked: tuple[tuple[str, Comparator, Value | None], ...] = (
        ("actor.id", Comparator.EQUALS, narrow.actor_id),
        ("action", Comparator.EQUALS, narrow.action),
        ("target.id", Comparator.EQUALS, narrow.target_id),
        ("outcome", Comparator.EQUALS, narrow.outcome),
        ("occurred_at", Comparator.GREATER_OR_EQUAL, narrow.occurred_from),
        ("occurred_at", Comparator.LESS, narrow.occurred_before),
    )
    for field, comparator, value in asked:
        if value is not None:
            yield Condition(field, comparator, value)


def _flattened(parts: Iterable[Expression], kind: type[And] | type[Or]) -> Iterator[Expression]:
    for part in parts:
        if isinstance(part, kind):
            yield from part.parts
        else:
            yield part


def _within(part: Expression, *bracketed: type) -> str:
    return f"({part})" if isinstance(part, bracketed) else str(part)


def _segment(segment: str) -> str:
    return segment if _PLAIN.fullmatch(segment) else _quoted(segment)


def _spelt(value: Value) -> str:
    match value:
        case Presence():
            return "*"
        case Pattern(pieces):
            return f'"{"*".join(map(_escaped, pieces))}"'
        case Outcome():
            return value.name
        case datetime():
            return f'"{value.astimezone(UTC).isoformat()}"'
        case int():
            return str(value)
        case _:
            return _quoted(str(value))


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in text)
