"""From an expression to a condition on `found_events`; each value is a bound parameter.

Words, and what is equal, are terms (see `terms.py`), which one GIN index finds: those that are
asked for together are one array. What is known of a kind of event is asked of `phrases`, which are
few, and places in the log of `entries` and `entry_targets`.
"""

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    and_,
    bindparam,
    not_,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import ARRAY

from smart_audit.audit.domain import OrganisationId, Outcome
from smart_audit.audit.fields import METADATA, known_field
from smart_audit.audit.filters import And, Comparator, Condition, Expression, Not, Or, Words
from smart_audit.audit.filters.expressions import Pattern, Presence, Value
from smart_audit.audit.tables import entries, entry_targets, found_events, phrases
from smart_audit.audit.terms import TermKey, asked_words

Clause = ColumnElement[bool]

COLUMNS = {
    "actor.id": "actor_id",
    "occurred_at": "occurred_at",
    "recorded_at": "recorded_at",
    "log_index": "log_index",
    "kind": "phrase_id",
}
COMPARED = (
    "recorded_at",
    "log_index",
    "occurred_at",
    "phrase_id",
    "actor_id",
    "terms",
    "target_ids",
)
"""The columns that conditions compare."""
PHRASES: dict[str, ColumnElement[Any]] = {
    "action": phrases.c.action,
    "outcome": phrases.c.outcome,
    "source": phrases.c.source,
}
_COMPARED: dict[Comparator, Callable[[Any, Any], Any]] = {
    Comparator.EQUALS: operator.eq,
    Comparator.NOT_EQUALS: operator.ne,
    Comparator.LESS: operator.lt,
    Comparator.LESS_OR_EQUAL: operator.le,
    Comparator.GREATER: operator.gt,
    Comparator.GREATER_OR_EQUAL: operator.ge,
}


def condition(
    expression: Expression,
    organisation_id: OrganisationId,
    key: TermKey,
    events: FromClause = found_events,
) -> Clause:
    """What an expression asks of the rows of `found_events` of one organisation.

    events: these rows, or some of them with the same columns.
    """
    return _Compiler(organisation_id, key, events).clause(expression)


def kinds_condition(expression: Expression) -> Clause | None:
    """The same of the rows of `phrases`, where it asks only what all events of a kind share.

    None where it asks anything else. Nor is it asked of a source or of targets' types, of which
    a kind keeps not all.
    """
    match expression:
        case And(parts) | Or(parts):
            clauses = [clause for part in parts if (clause := kinds_condition(part)) is not None]
            if len(clauses) < len(parts):
                return None
            return and_(*clauses) if isinstance(expression, And) else or_(*clauses)
        case Not(part):
            clause = kinds_condition(part)
            return None if clause is None else not_(clause)
        case Condition(
            "action" | "outcome", Comparator.EQUALS | Comparator.NOT_EQUALS as how, value
        ):
            if not isinstance(value, Presence):
                equal = _of_phrase(expression.field, Comparator.EQUALS, value)
                return equal if how is Comparator.EQUALS else not_(equal)
        case Condition("kind", Comparator.EQUALS, int(value)):
            return phrases.c.phrase_id == value
    return None


class _Compiler:
    def __init__(self, organisation_id: OrganisationId, key: TermKey, events: FromClause) -> None:
        self._organisation_id = organisation_id
        self._key = key
        self._source = events
        self._of_all = events is found_events
        self._events = events.c
        self._place = tuple_(events.c.recorded_at, events.c.log_index)

    def clause(self, expression: Expression) -> Clause:
        """Any expression."""
        match expression:
            case And(parts):
                return self._all(parts)
            case Or(parts):
                return self._any(parts)
            case Not(part):
                return not_(self.clause(part))
            case Condition() if self._terms(expression) is None:
                return self._condition(expression)
            case _:
                return self._has_all(self._terms(expression) or ())

    def _all(self, parts: Sequence[Expression]) -> Clause:
        """The terms of all parts are one array, so that one scan of the index finds them."""
        terms: list[int] = []
        others = []
        for part in parts:
            found = self._terms(part)
            if found is None:
                others.append(self.clause(part))
            else:
                terms += found
        return and_(*([self._has_all(terms)] if terms else []), *others)

    def _any(self, parts: Sequence[Expression]) -> Clause:
        """Single terms are one array here, too."""
        terms: list[int] = []
        others = []
        for part in parts:
            found = self._terms(part)
            if found is not None and len(found) == 1:
                terms += found
            else:
                others.append(self.clause(part))
        return or_(*([self._has_any(terms)] if terms else []), *others)

    def _terms(self, expression: Expression) -> list[int] | None:
        """The terms that say all of an expression; None where there are no such."""
        key = self._key
        match expression:
            case Words(text):
                return [key.word(word) for word in asked_words(text)]
            case Condition(field, Comparator.HAS, str(value)):
                return [key.has_word(field, word) for word in asked_words(value)]
            case Condition(field, Comparator.HAS, Presence()) if known_field(
                field
            ).has_presence_term:
                return [key.present(field)]
            case Condition(field, Comparator.EQUALS, str(value)) if field != "actor.id":
                return [key.equals(field, value)]
            case Condition("outcome", Comparator.EQUALS, Outcome() as outcome):
                return [key.equals("outcome", outcome.name)]
        return None

    def _condition(self, asked: Condition) -> Clause:
        """A condition that is not a matter of terms alone."""
        field, comparator, value = asked.field, asked.comparator, asked.value
        if isinstance(value, Presence):
            return self._is_present(field)
        if comparator is Comparator.NOT_EQUALS:
            return self._differs(asked)
        if field == "target.id":
            return self._names_target(value)
        if field == "id" or (field == "log_index" and comparator is Comparator.EQUALS):
            return self._place.in_(self._places(field, value))
        if field in COLUMNS:
            return _compared(self._events[COLUMNS[field]], comparator, value)
        return self._of_phrases(_of_phrase(field, comparator, value))

    def _differs(self, expression: Condition) -> Clause:
        """A path in metadata that is not there is not compared at all (AIP-160)."""
        field = expression.field
        equal = Condition(field, Comparator.EQUALS, expression.value)
        differs = not_(self.clause(equal))
        if field.startswith(METADATA):
            return and_(self._has_all([self._key.present(field)]), differs)
        return differs

    def _names_target(self, pattern: Value) -> Clause:
        """Of a whole log the beginnings of ids are in an index; of a few events no index is due."""
        if isinstance(pattern, Pattern) and pattern.pieces[0] and self._of_all:
            named = select(entry_targets.c.recorded_at, entry_targets.c.log_index).where(
                entry_targets.c.organisation_id == self._organisation_id,
                _compared(entry_targets.c.target_id, Comparator.EQUALS, pattern),
            )
            return self._place.in_(_apart(named))
        return _any_of(self._events.target_ids, pattern, self._source)

    def _is_present(self, field: str) -> Clause:
        if known_field(field).always:
            return true()
        if field == "source":
            return self._of_phrases(phrases.c.source != "")
        return self._of_phrases(sql.cardinality(phrases.c.target_types) > 0)

    def _of_phrases(self, clause: Clause) -> Clause:
        return self._events.phrase_id.in_(
            _apart(
                select(phrases.c.phrase_id).where(
                    phrases.c.organisation_id == self._organisation_id, clause
                )
            )
        )

    def _places(self, field: str, value: Value) -> Select[Any]:
        """Where the event is that has an id or a place."""
        column = entries.c.event_id if field == "id" else entries.c.log_index
        return _apart(
            select(entries.c.recorded_at, entries.c.log_index).where(
                entries.c.organisation_id == self._organisation_id, column == value
            )
        )

    def _has_all(self, terms: Iterable[int]) -> Clause:
        clause: Clause = self._events.terms.contains(_array(terms))
        return clause

    def _has_any(self, terms: Iterable[int]) -> Clause:
        clause: Clause = self._events.terms.overlap(_array(terms))
        return clause


def _apart(statement: Select[Any]) -> Select[Any]:
    """A sub-select that the planner leaves one.

    Were it made a join, the policies of its tables would stand between `found_events` and the index
    on terms, as those of `search_events` would (see `tables/search.py`).
    """
    return statement.offset(0)


def _of_phrase(field: str, comparator: Comparator, value: Value) -> Clause:
    if field == "target.type":
        return _any_of(phrases.c.target_types, value, phrases)
    return _compared(PHRASES[field], comparator, value)


def _any_of(values: ColumnElement[Any], value: Value, source: FromClause) -> Clause:
    """That one of the texts in an array, a column of `source`, is like this."""
    one = sql.unnest(values).column_valued("one")
    like = _compared(one, Comparator.EQUALS, value)
    return select(one).where(like).correlate(source).exists()


def _array(terms: Iterable[int]) -> Any:
    distinct = list(dict.fromkeys(terms))
    return bindparam(None, distinct, type_=ARRAY(BigInteger), unique=True)


def _compared(column: ColumnElement[Any], comparator: Comparator, value: Value) -> Clause:
    """Texts are in order of their code points, whatever the database's own order is."""
    if isinstance(value, Pattern):
        return column.like("%".join(map(_like, value.pieces)), escape="\\")
    if isinstance(value, str) and comparator is not Comparator.EQUALS:
        column = column.collate("C")
    clause: Clause = _COMPARED[comparator](column, value)
    return clause


def _like(piece: str) -> str:
    return piece.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
