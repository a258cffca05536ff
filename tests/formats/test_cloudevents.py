"""CloudEvents that other people's readers take."""

import json

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given

from smart_audit.audit.domain import Actor, Target
from smart_audit.audit.formats import FormatName, open_format
from smart_audit.audit.formats.facts import event_json, proof_json
from tests.formats.making import NOW, ORGANISATION, RECORDED, new_event, proof_of, recorded


def lines(*events, proofs=None):
    format_ = open_format(FormatName.CLOUDEVENTS)
    data = format_.begin() + format_.lines(events, proofs) + format_.end()
    return data.split(b"\n")[:-1]


def read(line):
    return JSONFormat().read(CloudEvent, line)


@given(RECORDED)
def test_another_reader_takes_any_event(one):
    (line,) = lines(one)
    event = read(line)
    assert (event.get_id(), event.get_type()) == (str(one.event.id), one.event.action)
    assert event.get_specversion() == "1.0"
    assert event.get_time() == one.event.occurred_at
    assert event.get_data() == event_json(one)


def test_real_events_are_taken(real_events):
    for line, one in zip(lines(*real_events[:500]), real_events, strict=False):
        assert read(line).get_data()["metadata"] == one.event.metadata


def test_the_envelope_is_good_for_routing():
    one = recorded(new_event(source="billing api/ü"), log_index=42)
    made = json.loads(lines(one)[0])
    assert made | {"data": ...} == {
        "specversion": "1.0",
        "id": str(one.event.id),
        "source": f"/organisations/{ORGANISATION}/billing%20api%2F%C3%BC",
        "type": "document.delete",
        "subject": "d_1",
        "time": "2026-03-01T12:30:15.250000Z",
        "recordedtime": "2026-03-01T12:30:15.250000Z",
        "sequence": "0000000000000000042",
        "authtype": "app_user",
        "authid": "u_1",
        "datacontenttype": "application/json",
        "dataschema": "urn:x-smart-audit:event:v1",
        "data": ...,
    }


@pytest.mark.parametrize("odd", ["a\ufffe", "\U0001ffff", "\ufdd0"])
def test_an_attribute_holds_no_character_that_cloudevents_forbid(odd):
    one = recorded(new_event(actor=Actor(odd, "user"), targets=(Target(odd, "document"),)))
    made = json.loads(lines(one)[0])
    assert "subject" not in made
    assert "authid" not in made
    assert made["data"]["targets"][0]["id"] == odd


def test_what_was_erased_is_named_in_the_data():
    made = json.loads(lines(recorded(erased=["actor.name"]))[0])
    assert made["data"]["erased_fields"] == ["actor.name"]


def test_the_data_carries_the_proof():
    one = recorded(new_event(occurred_at=NOW))
    made = json.loads(lines(one, proofs=[proof_of(one)])[0])
    assert made["data"]["proof"] == proof_json(one, proof_of(one))
