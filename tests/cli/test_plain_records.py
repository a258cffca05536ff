"""Plain JSON records become events by a mapping, and nothing of them is lost."""

from datetime import UTC, datetime
from uuid import UUID

import protovalidate
import pytest
from google.protobuf.json_format import MessageToDict

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.cli.failures import ExitCode, Failure
from smart_audit.cli.imports.kinds import jsonl_kind, read_mapping
from smart_audit.client.imports.mapping import MappingError, parse_mapping, parse_toml
from smart_audit.client.imports.plain import to_event
from smart_audit.client.imports.records import BadRecord

PATHS = {
    "action": "event.name",
    "actor.id": "user.id",
    "actor.name": "user.name",
    "occurred_at": "ts",
    "outcome": "result",
    "id": "key",
}
RECORD = {
    "key": "r-1",
    "event": {"name": "invoice.approve", "version": 2},
    "user": {"id": "u_1", "name": "Ada"},
    "ts": "2026-03-01T12:30:15Z",
    "result": "ok",
    "amount": 17,
}


def mapping(outcomes=None, zone="", constants=None, **paths):
    more = {name.replace("__", "."): path for name, path in paths.items()}
    return parse_mapping(
        PATHS | more, {"source": "billing"} | (constants or {}), outcomes or {}, zone
    )


def event_of(mapped=None, **changes):
    event = to_event(RECORD | changes, mapped or mapping())
    protovalidate.validate(event)
    return event


def test_fields_are_where_the_mapping_says_and_the_rest_is_metadata():
    event = event_of()
    assert (event.action, event.actor.id, event.actor.name) == ("invoice.approve", "u_1", "Ada")
    assert (event.outcome, event.source) == (audit_pb2.OUTCOME_SUCCESS, "billing")
    assert event.occurred_at.ToDatetime(UTC) == datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
    # "ok" is not said to the letter, and "r-1" is no UUID.
    assert MessageToDict(event.metadata) == {
        "key": "r-1",
        "event": {"version": 2},
        "result": "ok",
        "amount": 17,
    }


def test_ids_are_stable():
    assert event_of(key="0B7B9FD6-98BD-4C1F-8C12-8A0F7F1C9D11").id.startswith("0b7b9fd6")
    assert event_of().id == event_of(amount=18).id
    assert event_of().id != event_of(key="r-2").id
    assert event_of().id != event_of(mapping(constants={"source": "shop"})).id
    without = event_of(key=None)
    assert UUID(without.id).version == 5
    assert without.id == event_of(key=None).id != event_of(key=None, amount=18).id


def test_a_set_value_stands_in_where_the_record_has_none():
    mapped = mapping(constants={"actor.id": "nobody", "actor.type": "unknown"})
    assert event_of(mapped).actor.id == "u_1"
    assert event_of(mapped, user={}).actor.id == "nobody"


def test_keys_may_hold_dots_and_lists_have_places():
    event = event_of(mapping(source_address="ips.1"), **{"event.name": "a.b", "ips": ["x", "y"]})
    assert (event.action, event.source_address) == ("a.b", "y")


def test_a_star_makes_a_target_of_each_item():
    mapped = mapping(
        target__id="items.*.id", target__name="items.*.title", constants={"target.type": "item"}
    )
    items = [{"id": 1, "title": "One"}, {"id": "b"}, {"title": "none"}, {"id": 1}, "odd"]
    event = event_of(mapped, items=items)
    assert [(one.id, one.type, one.name) for one in event.targets] == [
        ("1", "item", "One"),
        ("b", "item", ""),
    ]
    assert MessageToDict(event.metadata)["items"] == items
    assert not event_of(mapped).targets


def test_what_does_not_fit_stays_whole_in_the_metadata():
    mapped = mapping(user_agent="agent", target__id="doc")
    event = event_of(mapped, agent="x" * 3000, doc="y" * 600)
    assert (event.user_agent, len(event.targets)) == ("", 0)
    assert event.metadata["agent"] == "x" * 3000


@pytest.mark.parametrize(
    ("given", "action"),
    [("Invoice approved!", "Invoice_approved"), ("/v1/x y", "v1/x_y"), ("a", "a")],
)
def test_an_action_takes_the_form_of_one(given, action):
    event = event_of(event={"name": given})
    assert event.action == action
    assert MessageToDict(event.metadata).get("event", {}).get("name", action) == given or (
        given == action
    )


@pytest.mark.parametrize(
    "time",
    [
        1772368215,
        1772368215.0,
        1772368215000,
        1772368215000000,
        1772368215000000000,
        "1772368215",
        "2026-03-01T12:30:15Z",
        "2026-03-01T13:30:15+01:00",
        "2026-03-01 12:30:15",
    ],
)
def test_times_are_texts_or_numbers(time):
    event = event_of(mapping(zone="UTC"), ts=time)
    assert event.occurred_at.seconds == 1772368215


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (True, "SUCCESS"),
        (False, "FAILURE"),
        (204, "SUCCESS"),
        ("404", "FAILURE"),
        (403, "DENIED"),
        ("Access_Denied", "DENIED"),
        ("OUTCOME_FAILURE", "FAILURE"),
        ("S", "DENIED"),
    ],
)
def test_outcomes_are_usual_words_or_what_the_caller_says(value, outcome):
    event = event_of(mapping(outcomes={"s": "denied"}), result=value)
    assert audit_pb2.Outcome.Name(event.outcome) == f"OUTCOME_{outcome}"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"event": {}}, "no action: the record has no text at event.name"),
        ({"event": {"name": "!"}}, "action '!' makes no action"),
        ({"user": {"id": "x" * 300}}, "actor.id"),
        ({"user": {"id": "a\nb"}}, "actor.id"),
        ({"ts": "soon"}, "occurred_at 'soon' is not a time"),
        ({"ts": "20260301"}, "before 1970|not a time|no time zone"),
        ({"ts": "2026-03-01 12:30:15"}, "has no time zone"),
        ({"ts": -5.0}, "before 1970"),
        ({"ts": 1e300}, "not a time"),
        ({"ts": {}}, "no occurred_at"),
        ({"result": "weird"}, "outcome 'weird' is not understood; .* --outcome weird=success"),
        ({"amount": "\ud800"}, "no UTF-8"),
        ({"key": "\ud800"}, "no UTF-8"),
    ],
)
def test_what_makes_no_event_is_refused_with_the_field(changes, why):
    with pytest.raises(BadRecord, match=why):
        to_event(RECORD | changes, mapping())


def test_only_objects_are_records():
    with pytest.raises(BadRecord, match="not a JSON object"):
        to_event([1], mapping())


def test_a_mapping_may_be_a_file():
    mapped = parse_toml(
        """
        timezone = "Europe/Paris"
        [map]
        action = "event.name"
        actor.id = "user.id"
        "actor.name" = "user.name"
        occurred_at = "ts"
        outcome = "result"
        [set]
        source = "billing"
        [outcome]
        ok = "failure"
        """
    )
    event = event_of(mapped, ts="2026-03-01T13:30:15")
    assert (event.occurred_at.seconds, event.outcome) == (1772368215, audit_pb2.OUTCOME_FAILURE)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[map", "not TOML"),
        ("[maps]\na='b'", r"no table \[maps\]"),
        ("[map]\nactorid='b'", "no field 'actorid'"),
        ("[map]\naction=7", "map action: must be a text"),
        ("[set]\nid='x'", "id cannot be the same"),
        ("[outcome]\nok='good'", "none of success, failure, denied"),
        ("timezone='Mars'", "no time zone 'Mars'"),
        ("timezone='../x'", "no time zone"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(text, why):
    with pytest.raises(MappingError, match=why):
        parse_toml(text)


def test_a_mapping_must_give_what_each_event_has():
    with pytest.raises(MappingError, match=r"nothing gives actor.id, outcome; add --map actor.id="):
        parse_mapping({"action": "a", "occurred_at": "t"}, {}, {}).check_complete()


def test_options_go_before_the_file(tmp_path):
    file = tmp_path / "mapping.toml"
    file.write_text('[map]\naction = "a"\nid = "i"\n[set]\nsource = "s"\n[outcome]\nA = "denied"\n')
    mapped = read_mapping(["action=b=c"], ["source=t"], ["x=success"], "UTC", file)
    assert mapped.paths == {"action": "b=c", "id": "i"}
    assert mapped.constants == {"source": "t"}
    assert mapped.outcomes == {"a": "denied", "x": "success"}
    assert str(mapped.zone) == "UTC"


@pytest.mark.parametrize(
    ("paths", "constants", "file", "why"),
    [
        (["action=eventName"], [], None, "nothing gives actor.id, outcome, occurred_at"),
        ([], ["actor"], None, "--set 'actor': write NAME=VALUE"),
        (["who=x"], [], None, "--map: there is no field 'who'"),
        ([], [], "[x]", "mapping.toml: there is no table"),
    ],
)
def test_options_that_cannot_work_are_usage_errors(paths, constants, file, why, tmp_path):
    name = tmp_path / "mapping.toml"
    if file is not None:
        name.write_text(file)
    with pytest.raises(Failure, match=why) as raised:
        jsonl_kind(read_mapping(paths, constants, [], "", name if file is not None else None))
    assert raised.value.code == ExitCode.USAGE
