"""Values in words, and the filters that find them."""

from typing import NamedTuple

from smart_audit.audit.analytics.query import Field
from smart_audit.audit.domain import Outcome
from smart_audit.audit.filters import Comparator, Condition, Expression, Not
from smart_audit.audit.filters.expressions import PRESENT
from smart_audit.audit.meaning.phrases import Phrase
from smart_audit.audit.meaning.reasons import GAP


class Value(NamedTuple):
    """A value as it is shown."""

    text: str
    filter: Expression | None
    """What asks for events that have it; None where nothing can."""
    erased: bool = False


ERASED = Value("", None, erased=True)


def value_of(field: Field, text: str) -> Value:
    """A value of a field, or of events that have none where the text is empty."""
    return Value(text, _filter(field, text))


def outcome_of(key: str) -> Value:
    """An outcome by its number."""
    outcome = Outcome(int(key))
    return Value(outcome.name, Condition(Field.OUTCOME, Comparator.EQUALS, outcome))


def kind_of(kind: Phrase) -> Value:
    """A kind in words."""
    return Value(kind.text, Condition(Field.KIND, Comparator.EQUALS, kind.id))


def _filter(field: Field, text: str) -> Expression | None:
    if not text:
        return Not(Condition(field, Comparator.HAS, PRESENT))
    # What is left out of a reason is not known.
    if field is Field.OUTCOME_REASON and GAP in text:
        return None
    return Condition(field, Comparator.EQUALS, text)
