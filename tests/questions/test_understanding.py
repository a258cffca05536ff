"""Which parts of a question are filters, whatever the question is."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.audit.filters import parse_filter
from smart_audit.audit.questions.calendar import Clock
from smart_audit.audit.questions.readings import Kind
from smart_audit.audit.questions.understanding import (
    is_ignored,
    remaining,
    settled,
    understand,
)
from smart_audit.audit.use_cases.interpret import expression_of

CLOCK = Clock(datetime(2026, 7, 15, 10, 30, tzinfo=UTC), ZoneInfo("UTC"))
UUID = "018f3c1e-9e2a-7cc1-8000-0123456789ab"

WORDS = """
yesterday last week since Monday 10 July 2026 between and 1 5 March in the past 3 hours before
after noon 14:30 2pm a.m. by Ada Lovelace u_1 from 10.0.0.1 ::1 a@x.test 10/7 13/07/2025 2026-07-10
2026-02-30T10:00Z ago two days q3 until on 's " ' - : = outcome denied source=editor deleted
documents 99999999999 0 may sat ä 9999 weeks month
"""
PARTS = st.lists(st.sampled_from(WORDS.split()), max_size=12)
TEXTS = st.text(max_size=60) | PARTS.map(" ".join) | PARTS.map("".join)


def interpreted(text, clock=CLOCK):
    question = understand(text, clock)
    return [settled(reading, reading.options[0], text) for reading in question.readings]


def only(text, clock=CLOCK):
    (one,) = interpreted(text, clock)
    return one


@given(TEXTS)
def test_any_text_is_understood_somehow(text):
    found = interpreted(text)
    assert all(text[one.start : one.end] == one.text for one in found)
    assert all(one.text.strip() for one in found)
    places = [(one.start, one.end) for one in found]
    assert places == sorted(places)
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    assert all((one.filter == "") == (one.kind == Kind.AMBIGUOUS) for one in found)


@given(TEXTS)
def test_what_is_left_has_nothing_of_what_is_a_filter(text):
    found = interpreted(text)
    taken = sum(len("".join(one.text.split())) for one in found if one.filter)
    left = "".join(remaining(text, found).split())
    assert len(left) == len("".join(text.split())) - taken
    assert remaining(text, []) == " ".join(text.split())


@given(st.dates(date(1971, 1, 1), date(2199, 1, 1)), st.sampled_from([0, 1, 2, 3]))
def test_a_day_can_be_written_in_many_ways(day, way):
    text = [
        f"{day:%Y-%m-%d}",
        f"on {day.day} {day:%B} {day.year}",
        f"{day:%b} {day.day}, {day.year}",
        f"on the {day.day}th of {day:%B} {day.year}",
    ][way]
    after = day + timedelta(days=1)
    assert only(text).filter == (
        f'occurred_at>="{day}T00:00:00Z" AND occurred_at<"{after}T00:00:00Z"'
    )


@given(
    st.integers(1, 5000),
    st.sampled_from([("minutes", 60), ("hours", 3600), ("days", 86400), ("weeks", 604800)]),
)
def test_the_last_while_ends_now(count, unit):
    name, seconds = unit
    start = CLOCK.now - timedelta(seconds=seconds * count)
    bounds = only(f"in the last {count} {name}").filter
    if start.year >= 1970:
        assert f'occurred_at>="{start.isoformat()}"'.replace("+00:00", "Z") in bounds
    assert bounds.endswith('occurred_at<"2026-07-15T10:30:00Z"')


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("today", "07-15", "07-16"),
        ("yesterday's", "07-14", "07-15"),
        ("the day before yesterday", "07-13", "07-14"),
        ("this week", "07-13", "07-20"),
        ("last week", "07-06", "07-13"),
        ("last month", "06-01", "07-01"),
        ("this quarter", "07-01", "10-01"),
        ("over the weekend", "07-11", "07-13"),
        ("on Monday", "07-13", "07-14"),
        ("Wednesday", "07-15", "07-16"),
        ("last Wednesday", "07-08", "07-09"),
        ("from Monday to Wednesday", "07-13", "07-16"),
        ("between 1 and 5 March 2026", "03-01", "03-06"),
        ("March 1-5", "03-01", "03-06"),
        ("between March and May 2026", "03-01", "06-01"),
        ("in May", "05-01", "06-01"),
        ("3 days ago", "07-12", "07-13"),
        ("two weeks ago", "06-29", "07-06"),
        ("10.07.2026", "07-10", "07-11"),
        ("07/13/2026", "07-13", "07-14"),
        ("in Q1", "01-01", "04-01"),
    ],
)
def test_days_of_this_year(text, start, end):
    expected = f'occurred_at>="2026-{start}T00:00:00Z" AND occurred_at<"2026-{end}T00:00:00Z"'
    assert only(text).filter == expected


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("yesterday at 2pm", "14T14:00", "14T15:00"),
        ("yesterday after 5 p.m.", "14T17:00", "15T00:00"),
        ("before noon", "15T00:00", "15T12:00"),
        ("before noon yesterday", "14T00:00", "14T12:00"),
        ("from 9am to 5pm yesterday", "14T09:00", "14T17:00"),
        ("Monday morning", "13T06:00", "13T12:00"),
        ("last night", "14T18:00", "15T06:00"),
        ("at 14:30", "14T14:30", "14T14:31"),
        ("2026-07-10T12:00Z to 2026-07-10T13:00:00+00:00", "10T12:00", "10T13:00"),
        ("20 minutes ago", "15T10:10", "15T10:11"),
    ],
)
def test_hours(text, start, end):
    expected = f'occurred_at>="2026-07-{start}:00Z" AND occurred_at<"2026-07-{end}:00Z"'
    assert only(text).filter == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("since Monday", 'occurred_at>="2026-07-13T00:00:00Z"'),
        ("after 5 March", 'occurred_at>="2026-03-06T00:00:00Z"'),
        ("after yesterday at 5pm", 'occurred_at>="2026-07-14T17:00:00Z"'),
        ("before July", 'occurred_at<"2026-07-01T00:00:00Z"'),
        ("until yesterday", 'occurred_at<"2026-07-15T00:00:00Z"'),
        ("from 2026-01-01 onwards", 'occurred_at>="2026-01-01T00:00:00Z"'),
        ("before 2026-07-10T10:00Z", 'occurred_at<"2026-07-10T10:00:00Z"'),
    ],
)
def test_bounds(text, expected):
    assert only(text).filter == expected


def test_days_are_those_of_the_time_zone():
    there = Clock(CLOCK.now, ZoneInfo("Europe/Berlin"))
    assert only("today", there).filter.startswith('occurred_at>="2026-07-14T22:00:00Z"')
    assert only("on 1 January", there).filter.startswith('occurred_at>="2025-12-31T23:00:00Z"')


def test_an_hour_that_is_there_twice_or_never_is_no_obstacle():
    there = Clock(CLOCK.now, ZoneInfo("Europe/Berlin"))
    assert only("29 March 2026 at 2:30", there).filter.count("2026-03-29T0") == 2
    whole = only("on 29 March 2026", there).filter
    assert whole == 'occurred_at>="2026-03-28T23:00:00Z" AND occurred_at<"2026-03-29T22:00:00Z"'


@pytest.mark.parametrize("text", ["10/7", "10/7/2026 logins"])
def test_a_date_that_may_be_two_is_not_guessed(text):
    one = only(text)
    assert (one.kind, one.filter) == (Kind.AMBIGUOUS, "")
    assert "2026-07-10" in one.note
    assert remaining(text, [one]) == text


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("from 10.0.0.1", Kind.ADDRESS, 'source_address="10.0.0.1"'),
        ("2001:db8::1", Kind.ADDRESS, 'source_address="2001:db8::1"'),
        ("by ada@x.test", Kind.EMAIL, '(actor.email="ada@x.test" OR actor.id="ada@x.test")'),
        ("by u_1", Kind.ID, 'actor.id="u_1"'),
        ("on d_42", Kind.ID, 'target.id="d_42"'),
        ("i-0abc12", Kind.ID, '(actor.id="i-0abc12" OR target.id="i-0abc12")'),
        (UUID, Kind.ID, f'(actor.id="{UUID}" OR target.id="{UUID}" OR id="{UUID}")'),
        ("by Ada Lovelace", Kind.PERSON, '(actor.name:"Ada Lovelace" OR actor.id="Ada Lovelace")'),
        ("source=editor", Kind.FIELD, 'source="editor"'),
        ("outcome: denied", Kind.FIELD, "outcome=DENIED"),
        ("with outcome failure", Kind.FIELD, "outcome=FAILURE"),
        ('actor.name="a*b\\"', Kind.FIELD, 'actor.name="a\\*b\\\\"'),
    ],
)
def test_what_names_one_thing(text, kind, expected):
    one = only(text)
    assert (one.kind, one.filter) == (kind, expected)


@pytest.mark.parametrize(
    "text",
    [
        "someone turned off logging",
        "may someone march in the sun",
        "second factor removed",
        "failed logins",
        "AccessDenied for GetSecretValue",
        "document.delete",
        '"yesterday" in quotes',
        "10.0.0.0/24",
        "999.1.1.1",
        "version 1.2.3.4.5",
        "500 events",
        "night shift",
    ],
)
def test_words_that_are_left_alone(text):
    assert [one for one in interpreted(text) if one.kind != Kind.PERSON] == []


def test_several_times_are_alternatives_unless_they_bound():
    text = "on 10 July and 12 July by u_1 since 1 July"
    first, second = [f"occurred_at>=2026-07-{d}T00:00:00Z" for d in (10, 12)]
    assert expression_of(interpreted(text)) == parse_filter(
        f"(({first} AND occurred_at<2026-07-11T00:00:00Z) OR "
        f"({second} AND occurred_at<2026-07-13T00:00:00Z)) AND "
        "actor.id=u_1 AND occurred_at>=2026-07-01T00:00:00Z"
    )
    assert expression_of([]) is None


def test_a_name_is_tried_from_the_longest_to_the_shortest():
    (reading,) = understand("deleted by ada lovelace in haste", CLOCK).readings
    assert not reading.certain
    assert [one.filter for one in reading.options] == [
        '(actor.name:"ada lovelace" OR actor.id="ada lovelace")',
        '(actor.name:"ada" OR actor.id="ada")',
    ]


def test_what_the_caller_ignores_is_known_whatever_its_capitals_and_spaces():
    assert is_ignored("Last  Week", ["last week"])
    assert not is_ignored("last week", ["week"])
