"""Events of other products, as OCSF and CloudEvents, become events of the log."""

from typing import Any

import protovalidate
import pytest
from google.protobuf.json_format import MessageToDict

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.imports import cloudevents, ocsf, own
from smart_audit.client.imports.mapping import FieldMapping, parse_mapping
from smart_audit.client.imports.records import BadRecord

CLOUDEVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A234-1234",
    "source": "/shop/checkout",
    "type": "com.example.order.placed",
    "subject": "order/7",
    "time": "2026-03-01T12:30:15Z",
    "authtype": "app_user",
    "authid": "u_1",
    "data": {"total": 12.5, "customer": {"id": "c_9"}},
}
OCSF: dict[str, Any] = {
    "class_uid": 6003,
    "class_name": "API Activity",
    "activity_id": 2,
    "time": 1772368215250,
    "status_id": 2,
    "status_code": "AccessDenied",
    "severity_id": 1,
    "metadata": {
        "uid": "70e5932e-9022-4b38-837e-ca10dad94eb7",
        "version": "1.1.0",
        "product": {"name": "CloudTrail", "vendor_name": "AWS"},
    },
    "api": {"operation": "GetObject", "service": {"name": "s3.amazonaws.com"}},
    "actor": {"user": {"uid": "AIDA1", "name": "ada", "type": "IAM User", "type_id": 99}},
    "src_endpoint": {"ip": "192.0.2.7", "port": 443},
    "http_request": {"user_agent": "cli/1"},
    "resources": [{"uid": "arn:bucket", "type": "Bucket", "name": "b"}],
}


FAILED = {"operation": "Get", "response": {"code": 500}}


def of_cloudevent(mapping=None, **changes):
    event = cloudevents.to_event(CLOUDEVENT | changes, mapping or FieldMapping())
    protovalidate.validate(event)
    return event


def of_ocsf(**changes):
    record = OCSF | changes
    event = ocsf.to_event({name: one for name, one in record.items() if one is not ...})
    protovalidate.validate(event)
    return event


def test_a_cloudevent_says_what_happened_to_what_and_by_whom():
    event = of_cloudevent()
    assert (event.action, event.source) == ("com.example.order.placed", "/shop/checkout")
    assert (event.actor.id, event.actor.type) == ("u_1", "app_user")
    assert [target.id for target in event.targets] == ["order/7"]
    assert event.outcome == audit_pb2.OUTCOME_SUCCESS
    assert MessageToDict(event.metadata) == {
        "specversion": "1.0",
        "id": "A234-1234",
        "data": CLOUDEVENT["data"],
    }


def test_cloudevents_are_known_by_source_and_id():
    assert of_cloudevent().id == of_cloudevent(time="2026-03-02T00:00:00Z").id
    assert of_cloudevent().id != of_cloudevent(source="/other").id
    long = "/" + "x" * 500
    assert of_cloudevent(source=long).id != of_cloudevent(source=long + "y").id
    assert of_cloudevent(source=long).metadata["source"] == long


def test_a_mapping_says_more_of_cloudevents():
    mapping = parse_mapping({"actor.id": "data.customer.id"}, {"actor.type": "customer"}, {})
    event = of_cloudevent(mapping, authtype=None)
    assert (event.actor.id, event.actor.type) == ("c_9", "customer")
    assert of_cloudevent(authid=None, authtype=None).actor.id == "unknown"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"specversion": "0.3"}, "specversion is not 1.0: '0.3'"),
        ({"id": ""}, "no id"),
        ({"source": None}, "no source"),
        ({"type": 7}, "no type"),
        ({"time": None}, "no occurred_at: the record has no text at time"),
        ({"time": "now"}, "occurred_at 'now' is not a time"),
        ({"dataschema": "urn:x-smart-audit:event:v1", "data": None}, "not a JSON object"),
    ],
)
def test_what_is_no_cloudevent_is_refused(changes, why):
    with pytest.raises(BadRecord, match=why):
        cloudevents.to_event(CLOUDEVENT | changes, FieldMapping())


def test_an_api_activity_says_who_called_what():
    event = of_ocsf()
    assert event.id == OCSF["metadata"]["uid"]
    assert (event.action, event.source) == ("s3.GetObject", "CloudTrail")
    assert (event.actor.id, event.actor.type, event.actor.name) == ("AIDA1", "iam_user", "ada")
    assert (event.outcome, event.outcome_reason) == (audit_pb2.OUTCOME_DENIED, "AccessDenied")
    assert (event.source_address, event.user_agent) == ("192.0.2.7", "cli/1")
    assert [(one.id, one.type, one.name) for one in event.targets] == [
        ("arn:bucket", "Bucket", "b")
    ]
    assert event.occurred_at.ToMilliseconds() == 1772368215250
    kept = MessageToDict(event.metadata)
    assert kept["src_endpoint"] == {"port": 443}
    assert kept["metadata"] == {k: v for k, v in OCSF["metadata"].items() if k != "uid"}
    assert (kept["class_uid"], kept["time"]) == (6003, 1772368215250)


@pytest.mark.parametrize(
    ("changes", "action", "targets"),
    [
        (
            {"class_uid": 3002, "class_name": "Authentication", "activity_name": "Logon"},
            "authentication.logon",
            [("u_2", "user")],
        ),
        ({"class_uid": 3001, "class_name": "Account Change", "activity_id": 3}, "", []),
        ({"class_uid": 4001, "class_name": ..., "activity_id": 1}, "ocsf_4001.activity_1", []),
    ],
)
def test_other_classes_are_named_by_class_and_activity(changes, action, targets):
    event = of_ocsf(api=..., resources=..., user={"uid": "u_2"}, **changes)
    assert event.action == (action or "account_change.activity_3")
    assert [(one.id, one.type) for one in event.targets] == (targets or [("u_2", "user")])


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"status_id": 1}, "SUCCESS"),
        ({"status_code": "Throttled"}, "FAILURE"),
        ({"status_code": ..., "status_detail": "Access denied by policy"}, "DENIED"),
        ({"status_id": ..., "action_id": 2}, "DENIED"),
        ({"status_id": 0, "status_code": ...}, "SUCCESS"),
        ({"status_id": 0, "status_code": ..., "api": FAILED}, "FAILURE"),
    ],
)
def test_status_tells_the_outcome(changes, outcome):
    assert audit_pb2.Outcome.Name(of_ocsf(**changes).outcome) == f"OUTCOME_{outcome}"


@pytest.mark.parametrize(
    ("actor", "id_", "kind"),
    [
        ({"app_name": "sync"}, "sync", ""),
        ({"user": {"email_addr": "a@b.test", "type_id": 1}}, "a@b.test", "user"),
        ({}, "unknown", "unknown"),
        ("odd", "unknown", "unknown"),
    ],
)
def test_an_actor_is_who_or_what_is_named(actor, id_, kind):
    event = of_ocsf(actor=actor)
    assert (event.actor.id, event.actor.type) == (id_, kind)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"class_uid": ...}, "no class_uid"),
        ({"time": ...}, "no time"),
        ({"time": "x"}, "no time"),
        ({"time": -5}, "before 1970"),
        ({"time": 10**30}, "not a time"),
        ({"time_dt": "soon"}, "time_dt 'soon' is not a time"),
    ],
)
def test_what_is_no_event_of_ocsf_is_refused(changes, why):
    with pytest.raises(BadRecord, match=why):
        of_ocsf(**changes)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"a": 1}, "no id: .* --map"),
        (
            {"id": "x", "action": "a", "actor": {"id": 7}, "outcome": "OUTCOME_SUCCESS"}
            | {"occurred_at": "2026-03-01T12:30:15Z"},
            "actor",
        ),
        (
            {"id": "x", "action": "a", "actor": {"id": "u"}, "outcome": "good"}
            | {"occurred_at": "2026-03-01T12:30:15Z"},
            "outcome",
        ),
        (
            {"id": "x", "action": "a", "actor": {"id": "u"}, "outcome": "OUTCOME_SUCCESS"}
            | {"occurred_at": "2026-03-01T12:30:15Z", "surprise": 1},
            "surprise",
        ),
    ],
)
def test_what_is_no_event_of_the_api_is_refused(record, why):
    with pytest.raises(BadRecord, match=why):
        own.to_event(record)
