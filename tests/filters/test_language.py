"""The language of filters: what is understood, what is refused and where, by itself."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.audit.errors import FilterInvalid
from smart_audit.audit.filters import And, Not, Or, Words, parse_filter
from smart_audit.audit.filters.expressions import Pattern
from tests.filters.malformed import MALFORMED
from tests.filters.strategies import expressions

ISSUE = (
    'action:"document" AND outcome=DENIED AND occurred_at>"2026-01-01T00:00:00Z"'
    ' AND actor.id="u_1" AND metadata.region="eu"'
)
LONG = f'action="{"x" * 4087}"'


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("", None),
        (" \t\n ", None),
        (ISSUE, ISSUE.replace("Z", "+00:00")),
        # OR binds tighter than AND, and a space is an AND.
        ("a AND b OR c", '"a" AND ("b" OR "c")'),
        ("a OR b AND c", '("a" OR "b") AND "c"'),
        ("a b OR c d", '"a" AND ("b" OR "c") AND "d"'),
        ("a b AND c d", '"a" AND "b" AND "c" AND "d"'),
        ("(a AND b) OR c", '("a" AND "b") OR "c"'),
        ("((a))", '"a"'),
        ("a OR (b OR c)", '"a" OR "b" OR "c"'),
        # Negation, both ways.
        ("NOT a b", 'NOT "a" AND "b"'),
        ("-a b", 'NOT "a" AND "b"'),
        ("NOT (a OR b)", 'NOT ("a" OR "b")'),
        ("-(a b)", 'NOT ("a" AND "b")'),
        ("NOT (NOT a)", 'NOT (NOT "a")'),
        ("-action:java", 'NOT action:"java"'),
        ("-30", 'NOT "30"'),
        ("a-b", '"a-b"'),
        ("NOTHING", '"NOTHING"'),
        ("ANDROID ORANGE", '"ANDROID" AND "ORANGE"'),
        ('"AND"', '"AND"'),
        ('"or"', '"or"'),
        # Values: in quotes of both kinds, with escapes, or without.
        ("action = a.b", 'action="a.b"'),
        ("action='it'", 'action="it"'),
        (r"""action='it\'s "so"'""", r'action="it\'s \"so\""'.replace(r"\'", "'")),
        (r'action="\u00e9\t\\"', 'action="é\\t\\\\"'),
        (r'action="a\*b"', r'action="a\*b"'),
        ("action=2*2", 'action="2*2"'),
        ("action=-30", 'action="-30"'),
        ("action=a/b?c#d[0]{x}&y|z;@", 'action="a/b?c#d[0]{x}&y|z;@"'),
        ("source_address=2001:db8::1", 'source_address="2001:db8::1"'),
        ("target.id=arn:aws:s3:::b", 'target.id="arn:aws:s3:::b"'),
        ("example.com", '"example.com"'),
        ("ada@example.com", '"ada@example.com"'),
        ('"New York"', '"New York"'),
        # Types.
        ("outcome=denied", "outcome=DENIED"),
        ("outcome:OUTCOME_FAILURE", "outcome=FAILURE"),
        ("log_index>=17", "log_index>=17"),
        ("log_index>-1", "log_index>-1"),
        (
            "occurred_at>=2026-01-01T02:00:00.5+02:00",
            'occurred_at>="2026-01-01T00:00:00.500000+00:00"',
        ),
        ("recorded_at<2026-01-01t00:00:00z", 'recorded_at<"2026-01-01T00:00:00+00:00"'),
        (
            "id=01890A5D-AC96-7AB2-80E2-000000000001",
            'id="01890a5d-ac96-7ab2-80e2-000000000001"',
        ),
        # Presence and emptiness.
        ("actor.email:*", "actor.email:*"),
        ("actor.email=*", "actor.email:*"),
        ("actor.email!=*", "NOT actor.email:*"),
        ('outcome_reason=""', "NOT outcome_reason:*"),
        ('outcome_reason!=""', "outcome_reason:*"),
        ("targets:*", "target.id:*"),
        ("metadata:region", "metadata.region:*"),
        # Wildcards.
        ("actor.id=u_*", 'actor.id="u_*"'),
        ('action!="*.de**te"', 'action!="*.de*te"'),
        ("action:doc*", 'action="doc*"'),
        # Several targets, and metadata.
        ("targets.id:d_1", 'target.id:"d_1"'),
        ("target.id=d_1", 'target.id="d_1"'),
        ("targets:d_1", 'target.id:"d_1"'),
        ('metadata."odd key"."a\\"b".NOT=x', 'metadata."odd key"."a\\"b".NOT="x"'),
        ("metadata.size=1.50", 'metadata.size="1.5"'),
        ('metadata.size="1.50"', 'metadata.size="1.50"'),
        ("metadata.size=2e3", 'metadata.size="2000"'),
        ("metadata.account=0123", 'metadata.account="0123"'),
        ("metadata.ok=true", 'metadata.ok="true"'),
        # `:` is `=` where there are no words to look for.
        ("source:editor", 'source="editor"'),
        ('action:"--"', 'action="--"'),
        # Several values for one field.
        ("outcome=(DENIED OR FAILURE)", "outcome=DENIED OR outcome=FAILURE"),
        ("action:(secret -get)", 'action:"secret" AND NOT action:"get"'),
        # As long and as deep as may be.
        (LONG, LONG),
        ("(" * 32 + "a" + ")" * 32, '"a"'),
    ],
)
def test_what_a_filter_means(text, means):
    parsed = parse_filter(text)
    assert (None if parsed is None else str(parsed)) == means
    assert parsed is None or parse_filter(str(parsed)) == parsed


def test_or_binds_tighter_than_and():
    assert parse_filter("a AND b OR c") == And((Words("a"), Or((Words("b"), Words("c")))))
    assert parse_filter("NOT a OR b") == Or((Not(Words("a")), Words("b")))


def test_the_refused_are_many_and_differ():
    assert len(set(MALFORMED)) == len(MALFORMED) >= 200


def refusal(text):
    """How a filter is refused; None for one that is understood."""
    try:
        parsed = parse_filter(text)
    except FilterInvalid as error:
        return error
    assert parsed is None or parse_filter(str(parsed)) == parsed
    return None


def test_what_is_malformed_is_refused_at_its_column():
    wrong = []
    for text, column in MALFORMED:
        error = refusal(text)
        if error is None or error.metadata["column"] != str(column):
            wrong.append((text, column, error))
        elif f"(column {column})" not in error.message or list(error.fields) != ["filter"]:
            wrong.append((text, error.message))
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("acton=a", "did you mean action? Fields are id, action, actor.id"),
        ("tarket.id=a", "did you mean target.id?"),
        ("actor.email>a", "actor.email is stored sealed and can be compared by =, !=, : alone"),
        ("outcome<a", "outcome can be compared by =, !=, : alone"),
        ("actor.email=ada*", "is stored sealed and can have none, but for actor.email:*"),
        ("actor.type=us*", "actor.type can have none"),
        ("targets.id=d", "write targets.id:… or, for any of them, target.id"),
        ("a or b", 'write OR, or "or" for the word'),
        ("occurred_at>now", "takes a time with its zone (RFC 3339) such as"),
        ("actor=a", "must name a field of actor: actor.id, actor.type, actor.name, actor.email"),
        ("f(x)", "calls a function, f; there are none"),
        ("action=a,b", "quote the value"),
        ("a" * 5000, "is longer than 4096 characters"),
    ],
)
def test_a_refusal_names_the_remedy(text, said):
    with pytest.raises(FilterInvalid, match=re.escape(said)):
        parse_filter(text)


PARTS = st.sampled_from(
    [
        *("()\"'\\=:<*.- \n\0ż,x"),
        *("AND", "OR", "NOT", "or", "!=", ">=", "1", "2026-01-01T00:00:00Z"),
        *("action", "outcome", "DENIED", "metadata", "targets", "occurred_at", "log_index"),
    ]
)


@given(st.one_of(st.text(), st.lists(PARTS, max_size=14).map("".join)))
def test_any_text_is_understood_or_refused_at_a_column(text):
    error = refusal(text)
    assert error is None or 1 <= int(error.metadata["column"]) <= len(text) + 1


@given(expressions())
def test_what_is_printed_means_the_same(expression):
    assert parse_filter(str(expression)) == expression


@given(st.lists(st.text("ab", max_size=3), min_size=2, max_size=5), st.text("ab", max_size=9))
def test_wildcards_stand_for_any_text(pieces, text):
    expected = re.fullmatch(".*".join(map(re.escape, pieces)), text, re.DOTALL) is not None
    assert Pattern(tuple(pieces)).matches(text) == expected
