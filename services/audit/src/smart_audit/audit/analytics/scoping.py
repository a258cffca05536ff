"""What a filter asks, taken apart: a span of time, kinds of events, and what else.

Spans and kinds are what counts are kept by; only for the rest events have to be looked at.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from smart_audit.audit.analytics.query import Span
from smart_audit.audit.filters import (
    And,
    Comparator,
    Condition,
    Expression,
    Not,
    Or,
    Words,
    conditions,
    conjunction,
)
from smart_audit.audit.filters.expressions import Pattern, Presence
from smart_audit.audit.meaning.phrases import MAX_TARGET_TYPES, Phrase
from smart_audit.audit.terms import asked_words, words

VALUES: dict[str, Callable[[Phrase], Sequence[Any]]] = {
    "action": lambda kind: [kind.action],
    "kind": lambda kind: [kind.id],
    "outcome": lambda kind: [kind.outcome],
    "source": lambda kind: [kind.source],
    "target.type": lambda kind: kind.target_types,
}
"""The fields that all events of a kind have in common. A reason is a template in a kind."""
COMPARED: dict[Comparator, Callable[[Any, Any], bool]] = {
    Comparator.LESS: operator.lt,
    Comparator.LESS_OR_EQUAL: operator.le,
    Comparator.GREATER: operator.gt,
    Comparator.GREATER_OR_EQUAL: operator.ge,
}

SPANS: dict[Comparator, Callable[[datetime], Span]] = {
    Comparator.GREATER_OR_EQUAL: lambda at: Span(at, None),
    Comparator.GREATER: lambda at: Span(at + datetime.resolution, None),
    Comparator.LESS: lambda at: Span(None, at),
    Comparator.LESS_OR_EQUAL: lambda at: Span(None, at + datetime.resolution),
    Comparator.EQUALS: lambda at: Span(at, at + datetime.resolution),
    Comparator.HAS: lambda at: Span(at, at + datetime.resolution),
}


class Parts(NamedTuple):
    """A filter taken apart; together they ask what it asks. None asks nothing."""

    span: Span
    of_kinds: Expression | None
    rest: Expression | None


def take_apart(expression: Expression | None, span: Span) -> Parts:
    """The parts of a filter; the span of time becomes narrower by it."""
    parts = expression.parts if isinstance(expression, And) else ()
    if expression is not None and not parts:
        parts = (expression,)
    of_kinds: list[Expression] = []
    rest: list[Expression] = []
    for part in parts:
        narrowed = _narrowed(span, part)
        if narrowed is not None:
            span = narrowed
        elif is_of_kinds(part):
            of_kinds.append(part)
        else:
            rest.append(part)
    return Parts(span, _joined(of_kinds), _joined(rest))


def is_of_kinds(expression: Expression) -> bool:
    """Whether all events of a kind satisfy it, or none."""
    match expression:
        case And(parts) | Or(parts):
            return all(map(is_of_kinds, parts))
        case Not(part):
            return is_of_kinds(part)
        case Condition(field):
            return field in VALUES
        case Words():
            return False


def kinds_satisfying(expression: Expression, kinds: Iterable[Phrase]) -> list[Phrase] | None:
    """The kinds whose events satisfy what is asked of kinds.

    None when that cannot be told: a kind keeps a few types of targets, and events may have more.
    """
    of_types = any(condition.field == "target.type" for condition in conditions(expression))
    found = []
    for kind in kinds:
        if of_types and len(kind.target_types) >= MAX_TARGET_TYPES:
            return None
        if _satisfies(kind, expression):
            found.append(kind)
    return found


def _joined(parts: Sequence[Expression]) -> Expression | None:
    return conjunction(parts) if parts else None


def _narrowed(span: Span, part: Expression) -> Span | None:
    """The span within what the part says about time; None when it says something else."""
    if not isinstance(part, Condition) or part.field != "occurred_at":
        return None
    at = part.value
    if not isinstance(at, datetime) or part.comparator not in SPANS:
        return None
    try:
        return span.within(SPANS[part.comparator](at))
    except OverflowError:
        # There is no moment after the last one; then that part is for the database to tell.
        return None


def _satisfies(kind: Phrase, expression: Expression) -> bool:
    match expression:
        case And(parts):
            return all(_satisfies(kind, part) for part in parts)
        case Or(parts):
            return any(_satisfies(kind, part) for part in parts)
        case Not(part):
            return not _satisfies(kind, part)
        case Condition():
            return _meets(VALUES[expression.field](kind), expression)
    raise TypeError(f"{expression} asks for more than a kind")


def _meets(values: Sequence[Any], condition: Condition) -> bool:
    value = condition.value
    if isinstance(value, Presence):
        return any(one != "" for one in values)
    match condition.comparator:
        case Comparator.HAS:
            wanted = asked_words(str(value))
            return any(set(wanted) <= set(words(one)) for one in values)
        case Comparator.EQUALS:
            return _equals(values, value)
        case Comparator.NOT_EQUALS:
            return not _equals(values, value)
        case ordering:
            compare = COMPARED[ordering]
            return any(compare(one, value) for one in values)


def _equals(values: Sequence[Any], value: Any) -> bool:
    if isinstance(value, Pattern):
        return any(map(value.matches, values))
    return value in values
