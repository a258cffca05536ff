"""Whether an event matches a filter: the same answer as the database gives, event by event."""

import operator
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from typing import Any

from smart_audit.audit.domain import Recorded
from smart_audit.audit.fields import METADATA, Field, known_field
from smart_audit.audit.filters.expressions import (
    And,
    Comparator,
    Condition,
    Expression,
    Not,
    Or,
    Pattern,
    Presence,
    Words,
)
from smart_audit.audit.meaning.phrases import key_of
from smart_audit.audit.terms import TermKey, asked_words, terms_of

_COMPARED: dict[Comparator, Callable[[Any, Any], bool]] = {
    Comparator.LESS: operator.lt,
    Comparator.LESS_OR_EQUAL: operator.le,
    Comparator.GREATER: operator.gt,
    Comparator.GREATER_OR_EQUAL: operator.ge,
}
_VALUES: dict[str, Callable[[Recorded], Iterable[Any]]] = {
    "id": lambda recorded: [recorded.event.id],
    "action": lambda recorded: [recorded.event.action],
    "actor.id": lambda recorded: [recorded.event.actor.id],
    "actor.type": lambda recorded: [recorded.event.actor.type],
    "target.id": lambda recorded: [target.id for target in recorded.event.targets],
    "target.type": lambda recorded: [target.type for target in recorded.event.targets],
    "outcome": lambda recorded: [recorded.event.outcome],
    "outcome_reason": lambda recorded: [recorded.event.outcome_reason],
    "occurred_at": lambda recorded: [recorded.event.occurred_at],
    "recorded_at": lambda recorded: [recorded.recorded_at],
    "recorded_by": lambda recorded: [recorded.recorded_by],
    "source": lambda recorded: [recorded.event.source],
    "log_index": lambda recorded: [recorded.log_index],
    "kind": lambda recorded: [key_of(recorded.event).id],
}
"""The public fields; what is sealed is compared by its terms, as it is in the database."""


class Facts:
    """What filters ask of one event; made once, where an event meets many filters."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    @cached_property
    def terms(self) -> frozenset[int]:
        """What the event can be found by."""
        found = terms_of(self._recorded.event, self._recorded.recorded_by, _key())
        return frozenset(found.public).union(found.sealed)

    def values(self, field: str) -> list[Any]:
        """The values of a public field."""
        return [value for value in _VALUES[field](self._recorded) if value != ""]

    def match(self, expression: Expression) -> bool:
        """Whether the event is one of those that are asked for."""
        match expression:
            case And(parts):
                return all(map(self.match, parts))
            case Or(parts):
                return any(map(self.match, parts))
            case Not(part):
                return not self.match(part)
            case Words(text):
                return all(_key().word(word) in self.terms for word in asked_words(text))
            case Condition():
                return self._meets(expression)

    def _meets(self, condition: Condition) -> bool:
        field, value = known_field(condition.field), condition.value
        if isinstance(value, Presence):
            return self._is_present(field)
        match condition.comparator:
            case Comparator.HAS:
                wanted = [_key().has_word(field.name, word) for word in asked_words(str(value))]
                return self.terms.issuperset(wanted)
            case Comparator.EQUALS:
                return self._equals(field, value)
            case Comparator.NOT_EQUALS:
                # A path that is not there is not compared at all.
                there = not field.name.startswith(METADATA) or self._is_present(field)
                return there and not self._equals(field, value)
            case ordering:
                compare = _COMPARED[ordering]
                return any(compare(one, value) for one in _VALUES[field.name](self._recorded))

    def _equals(self, field: Field, value: Any) -> bool:
        if field.sealed:
            return _key().equals(field.name, value) in self.terms
        if isinstance(value, Pattern):
            if field.name == "target.type":
                # Of very many types a phrase keeps some.
                return any(map(value.matches, key_of(self._recorded.event).target_types))
            return any(map(value.matches, self.values(field.name)))
        return value in self.values(field.name)

    def _is_present(self, field: Field) -> bool:
        if field.sealed:
            return _key().present(field.name) in self.terms
        return bool(self.values(field.name))


def matches(expression: Expression, recorded: Recorded) -> bool:
    """Whether an event, as far as it can be read, is one of those that are asked for."""
    return Facts(recorded).match(expression)


@cache
def _key() -> TermKey:
    """Terms that never leave the process need no secret."""
    return TermKey(bytes(32))
