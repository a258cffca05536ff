"""Expressions by chance: any that can be said, and such as the events of these tests may meet."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from smart_audit.audit.domain import Outcome
from smart_audit.audit.fields import FIELDS, Kind
from smart_audit.audit.filters.expressions import (
    PRESENT,
    Comparator,
    Condition,
    Not,
    Pattern,
    Words,
    conjunction,
    disjunction,
)
from smart_audit.audit.terms import asked_words

START = datetime(2026, 1, 1, tzinfo=UTC)
EQUALITY = [Comparator.EQUALS, Comparator.NOT_EQUALS]
ORDER = [
    Comparator.LESS,
    Comparator.LESS_OR_EQUAL,
    Comparator.GREATER,
    Comparator.GREATER_OR_EQUAL,
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
KINDS = {
    Kind.TIME: st.datetimes(timezones=st.just(UTC)),
    Kind.NUMBER: st.integers(-(2**63) + 1, 2**63 - 1),
    Kind.ID: st.uuids(),
    Kind.OUTCOME: st.sampled_from(Outcome),
}
ACTIONS = ["document.delete", "document.share", "GetSecretValue", "door.open", "door_open"]
SAID: dict[str, list[Any]] = {
    "action": [*ACTIONS, "document", "secret", "GETSECRETVALUE", "opens"],
    "actor.id": ["u_1", "u_2", "v%1", "1"],
    "actor.type": ["user", "service"],
    "actor.name": ["Ada Lovelace", "ada", "Żółć", "żółć"],
    "actor.email": ["ada@a.test", "test"],
    "target.id": ["d_1", "d%2", "doc/3", "3"],
    "target.type": ["document", "door"],
    "target.name": ["Plans of Ada", "ada"],
    "outcome": list(Outcome),
    "outcome_reason": ["AccessDenied", "denied", "user 17 is locked"],
    "occurred_at": [START + timedelta(days=day) for day in range(4)],
    "source": ["editor", "billing-api"],
    "source_address": ["192.0.2.7", "2001:db8::1"],
    "user_agent": ["Mozilla/5.0 (X11)", "mozilla"],
    "log_index": [0, 5, 20, 10_000],
    "metadata.region": ["eu", "us"],
    "metadata.size": ["17", "1.5"],
    "metadata.tags": ["a", "b c", "c"],
    "metadata.deep": ["x"],
    "metadata.deep.key": ["true", "false"],
}
PATTERNS = [("doc", ""), ("", "open"), ("d", "e", "e"), ("u_", ""), ("", "%", ""), ("", "_", "")]


def expressions():
    """Any expression that a filter can say."""
    return _nested(st.one_of(_words(TEXTS), _any_condition()))


def asked():
    """Expressions that some events meet and others do not."""
    return _nested(st.one_of(_words(st.sampled_from(sorted(set(_texts())))), _told_condition()))


def _nested(leaves):
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(conjunction),
            st.lists(inner, min_size=2, max_size=3).map(disjunction),
            inner.map(Not),
        ),
        max_leaves=6,
    )


def _words(texts):
    return texts.filter(asked_words).map(Words)


def _texts():
    return (value for values in SAID.values() for value in values if isinstance(value, str))


@st.composite
def _any_condition(draw):
    segments = st.lists(TEXTS.filter(bool), min_size=1, max_size=3).map(".".join)
    paths = segments.filter(lambda path: all(path.split("."))).map("metadata.{}".format)
    name = draw(st.one_of(st.sampled_from(sorted(FIELDS)), paths))
    return draw(_condition(name, KINDS, TEXTS, st.lists(TEXTS, min_size=2, max_size=4)))


@st.composite
def _told_condition(draw):
    name = draw(st.sampled_from(sorted(SAID)))
    values = st.sampled_from(SAID[name])
    kinds = dict.fromkeys(KINDS, values)
    return draw(_condition(name, kinds, values, st.sampled_from(PATTERNS)))


@st.composite
def _condition(draw, name, kinds, texts, patterns):
    field = FIELDS.get(name)
    comparators = list(EQUALITY)
    if field is not None and field.ordered:
        comparators += ORDER
    words = field is None or field.words
    shapes = ["value", "present"] + ["words"] * words
    if field is not None and field.wildcards:
        shapes.append("pattern")
    match draw(st.sampled_from(shapes)):
        case "present":
            return Condition(name, Comparator.HAS, PRESENT)
        case "words":
            return Condition(name, Comparator.HAS, draw(texts.filter(asked_words)))
        case "pattern":
            pieces = draw(patterns)
            first, *middle, last = pieces
            pattern = Pattern((first, *filter(None, middle), last))
            if pattern.pieces == ("", ""):
                return Condition(name, Comparator.HAS, PRESENT)
            return Condition(name, draw(st.sampled_from(EQUALITY)), pattern)
    comparator = draw(st.sampled_from(comparators))
    if field is not None and field.kind is not Kind.TEXT:
        return Condition(name, comparator, draw(kinds[field.kind]))
    return Condition(name, comparator, draw(texts.filter(bool)))
