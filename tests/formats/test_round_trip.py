"""What is exported can be imported again, and is the same event."""

import json

from google.protobuf.json_format import MessageToDict
from hypothesis import given

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit.domain import Outcome
from smart_audit.audit.formats import FormatName, open_format
from smart_audit.audit.messages.events import from_recorded
from smart_audit.client.imports import cloudevents, ocsf, own
from smart_audit.client.imports.mapping import FieldMapping
from tests.formats.making import RECORDED, new_event, proof_of, recorded

OF_THE_LOG = ("organisation_id", "log_index", "recorded_at", "recorded_by", "erased_fields")


def imported(one):
    """The event by each of the ways."""

    def exported(name):
        return json.loads(open_format(name).lines([one]))

    return [
        own.to_event(exported(FormatName.JSONL)),
        ocsf.to_event(exported(FormatName.OCSF)),
        cloudevents.to_event(exported(FormatName.CLOUDEVENTS), FieldMapping()),
    ]


def expected(one):
    """The event as it was recorded, and where it came from."""
    message = from_recorded(one)
    old = MessageToDict(message, preserving_proto_field_name=True)
    provenance = {name: old[name] for name in OF_THE_LOG if name in old}
    for name in OF_THE_LOG:
        message.ClearField(name)
    return message, provenance


def test_real_events_come_back(real_events):
    for one in real_events[::7]:
        message, _ = expected(one)
        for event in imported(one):
            kept = MessageToDict(event.metadata)["imported_from"]
            assert kept["log_index"] == str(one.log_index)
            event.metadata.fields.pop("imported_from")
            assert event == message


@given(RECORDED)
def test_any_event_comes_back_the_same_by_each_way(one):
    message, _ = expected(one)
    # The service gives each actor a type.
    message.actor.type = message.actor.type or "user"
    by_json, *others = imported(one)
    by_json.actor.type = by_json.actor.type or "user"
    for other in others:
        other.actor.type = other.actor.type or "user"
        assert other == by_json
    by_json.metadata.fields.pop("imported_from")
    if not by_json.metadata.fields:
        by_json.ClearField("metadata")
    assert by_json == message


def test_where_it_came_from_is_kept_and_so_is_where_it_came_from_before():
    one = recorded(erased=["actor.name"])
    event, *_ = imported(one)
    _, provenance = expected(one)
    kept = MessageToDict(event.metadata)["imported_from"]
    assert kept.keys() == provenance.keys()
    assert kept["erased_fields"] == ["actor.name"]
    again = own.to_event(
        json.loads(
            open_format(FormatName.JSONL).lines(
                [recorded(new_event(metadata={"imported_from": {"log_index": "3"}}))]
            )
        )
    )
    both = MessageToDict(again.metadata)["imported_from"]
    assert (both["log_index"], both["imported_from"]) == ("7", {"log_index": "3"})


def test_a_proof_beside_the_event_stays_with_the_old_log():
    one = recorded()
    line = json.loads(open_format(FormatName.JSONL).lines([one], [proof_of(one)]))
    assert own.to_event(line) == imported(one)[0]


def test_events_of_the_services_are_marked_as_brought_from_elsewhere():
    one = recorded(new_event(source="smart-audit.auth", outcome=Outcome.DENIED))
    for event in imported(one):
        assert event.source == "imported.smart-audit.auth"
        assert event.outcome == audit_pb2.OUTCOME_DENIED
