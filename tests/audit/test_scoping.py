"""What is asked of kinds is what the filter asks of each event of a kind."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.audit.analytics.query import Span
from smart_audit.audit.analytics.scoping import is_of_kinds, kinds_satisfying, take_apart
from smart_audit.audit.domain import Actor, Event, Outcome, Recorded, Target
from smart_audit.audit.errors import FilterInvalid
from smart_audit.audit.filters import matches, parse_filter
from smart_audit.audit.meaning.phrases import phrase_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)
actions = st.sampled_from(("document.delete", "document.view", "GetSecretValue", "login"))
sources = st.sampled_from(("", "web", "api-2"))
types = st.sampled_from(("", "document", "folder"))
values = st.sampled_from(("document", "document.delete", "web", "Value", "folder", "do*", "*e*"))
conditions = st.one_of(
    st.builds("action{}{}".format, st.sampled_from((":", "=", "!=")), values.map(repr)),
    st.builds("action{}{}".format, st.sampled_from(("<", ">=")), st.just('"document.view"')),
    st.builds("source{}{}".format, st.sampled_from(("=", "!=")), values.map(repr)),
    st.builds("source{}{}".format, st.sampled_from(("<", ">")), st.just('"m"')),
    st.builds("target.type{}{}".format, st.sampled_from(("=", "!=")), values.map(repr)),
    st.builds("outcome{}{}".format, st.sampled_from(("=", "!=")), st.just("DENIED")),
    st.sampled_from(("source:*", "target.type:*", "action:*")),
)
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=5,
)


def recorded(action, source, target_types, outcome):
    event = Event(
        UUID(int=1),
        UUID(int=2),
        action,
        Actor("u_1", "user"),
        outcome,
        NOW,
        tuple(Target(f"t_{number}", type_) for number, type_ in enumerate(target_types)),
        source=source,
    )
    return Recorded(event, 0, NOW, "somebody", b"", b"", (), ())


@given(filters, actions, sources, st.lists(types, max_size=3), st.sampled_from(Outcome))
def test_kinds_satisfy_what_their_events_match(text, action, source, target_types, outcome):
    try:
        expression = parse_filter(text.replace("'", '"'))
    except FilterInvalid:
        return  # not each pattern suits each comparator
    assert expression is not None
    assert is_of_kinds(expression)
    one = recorded(action, source, target_types, outcome)
    found = kinds_satisfying(expression, [phrase_of(one.event)])
    assert bool(found) == matches(expression, one)


@pytest.mark.parametrize(
    ("text", "span", "of_kinds", "rest"),
    [
        ("", (None, None), None, None),
        ("action=login", (None, None), 'action="login"', None),
        ('actor.id="u_1"', (None, None), None, 'actor.id="u_1"'),
        ("secret AND outcome=DENIED", (None, None), "outcome=DENIED", '"secret"'),
        ('occurred_at>="2026-05-01T00:00:00Z"', (NOW, None), None, None),
        ('occurred_at<"2026-05-01T00:00:00Z" AND login', (None, NOW), None, '"login"'),
        ("action=login OR secret", (None, None), None, 'action="login" OR "secret"'),
        ('NOT occurred_at<"2026-05-01T00:00:00Z"', (None, None), None, "same"),
    ],
)
def test_a_filter_is_taken_apart(text, span, of_kinds, rest):
    expression = parse_filter(text)
    parts = take_apart(expression, Span())
    assert parts.span == Span(*span)
    assert str(parts.of_kinds or "") == (of_kinds or "")
    assert str(parts.rest or "") == (str(expression) if rest == "same" else rest or "")


def test_a_kind_that_may_have_more_types_cannot_tell_of_types():
    many = recorded("a", "", [f"type{number}" for number in range(9)], Outcome.SUCCESS)
    kinds = [phrase_of(many.event)]
    asked = parse_filter("target.type=type8")
    assert asked is not None
    assert kinds_satisfying(asked, kinds) is None
    other = parse_filter("action=a")
    assert other is not None
    assert kinds_satisfying(other, kinds) == kinds
