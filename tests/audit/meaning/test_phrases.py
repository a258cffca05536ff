"""Kinds of event: what makes two events the same kind, and the kind in words."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.audit.domain import Actor, Event, EventId, OrganisationId, Outcome, Target
from smart_audit.audit.meaning import rendering
from smart_audit.audit.meaning.phrases import PhraseKey, key_of, phrase, phrase_of
from smart_audit.audit.meaning.reasons import MAX_WORDS, template


def event(**fields):
    return Event(
        id=EventId(UUID(int=1)),
        organisation_id=OrganisationId(UUID(int=2)),
        action=fields.pop("action", "document.delete"),
        actor=Actor("u_1", "user", "Ada Lovelace", "ada@example.com"),
        outcome=fields.pop("outcome", Outcome.SUCCESS),
        occurred_at=datetime(2026, 7, 10, tzinfo=UTC),
        **fields,
    )


def kind(action, outcome=Outcome.SUCCESS, reason="", types=(), source="editor"):
    return PhraseKey(action, tuple(types), outcome, reason, source)


def test_who_did_it_to_which_one_makes_no_other_kind():
    first = event(targets=(Target("d_1", "document", "Plan"),), source_address="192.0.2.7")
    second = event(targets=(Target("d_2", "document", "Budget"),), metadata={"size": 3})

    assert phrase_of(first) == phrase_of(second)


@pytest.mark.parametrize(
    "other",
    [
        {"action": "document.view"},
        {"outcome": Outcome.DENIED},
        {"outcome_reason": "not the owner"},
        {"source": "editor"},
        {"targets": (Target("f_1", "folder"),)},
    ],
)
def test_what_was_done_to_what_and_how_it_ended_makes_another_kind(other):
    assert phrase_of(event(**other)).id != phrase_of(event()).id


def test_an_id_is_the_same_in_each_process_and_fits_a_bigint():
    # Made by this code once: rows of the database refer to it.
    assert kind("iam.CreateUser", types=["AWS::IAM::User"]).id == 151898080949875125
    assert 0 <= kind("x").id < 2**63


@given(st.lists(st.text(min_size=1, max_size=5), max_size=3), st.text(max_size=5))
def test_fields_do_not_run_into_each_other(types, reason):
    one = kind("a", reason=reason, types=types)
    other = kind("a", reason=reason + "x", types=types)

    assert one.id != other.id


def test_a_hundred_types_of_targets_are_cut():
    many = tuple(Target(f"t_{number}", f"type{number:03}") for number in range(64))

    assert len(key_of(event(targets=many)).target_types) == 8


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("AccessDenied", "AccessDenied"),
        ("Client.InvalidVpcID.NotFound", "Client.InvalidVpcID.NotFound"),
        ("HTTP_403", "HTTP_403"),
        ("42501", "42501"),
        ("user 'ada' has 3 sessions", "user * has * sessions"),
        ("can't open file /etc/x/y", "can't open file *"),
        ("no such key: 0192f1c4-7f7a-7c4e-8d8a-2f4b6f2f7a11", "no such key: *"),
        ("ada@example.com is not invited", "* is not invited"),
        ("sess_8Zk9d2ks", "*"),
        ("", ""),
    ],
)
def test_a_reason_becomes_a_template(reason, expected):
    assert template(reason) == expected


@given(st.text(max_size=200))
def test_a_template_is_bounded_and_is_its_own_template(reason):
    made = template(reason)

    assert len(made.split()) <= MAX_WORDS
    assert not any(map(str.isdigit, made)) or " " not in made


@given(st.integers(0, 10**6), st.uuids())
def test_free_text_makes_one_kind_whatever_it_names(number, uuid):
    assert template(f"waited {number} ms for lock of {uuid}") == "waited * ms for lock of *"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (kind("document.delete"), "delete document"),
        (kind("iam.CreateUser"), "create user. iam identity and access management"),
        (
            kind("document.delete", Outcome.DENIED, "not the owner"),
            "delete document. denied: not the owner",
        ),
        (kind("file_downloaded", types=["attachment"]), "file downloaded. attachment"),
        (
            kind("lambda.GetFunctionCodeSigningConfig20150331v2"),
            "get function code signing config. lambda serverless functions",
        ),
    ],
)
def test_a_kind_is_told_in_words(made, expected):
    assert phrase(made).text == expected


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,60}", fullmatch=True))
def test_every_action_can_be_told(action):
    assert isinstance(phrase(kind(action)).text, str)


def test_what_an_event_type_says_is_added_and_replaced():
    bare = phrase(kind("x.y")).text

    once = rendering.described(bare, "Ship it", "Sends the  parcel.")
    twice = rendering.described(once, "Send it", "")

    assert once == f"{bare}\nShip it\nSends the parcel."
    assert twice == f"{bare}\nSend it\n"
    assert rendering.described(twice, "", "") == bare
