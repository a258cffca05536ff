"""CloudTrail records become events, and nothing of them is lost."""

import json
from collections import Counter
from datetime import UTC
from typing import Any
from uuid import UUID

import protovalidate
import pytest
from google.protobuf.json_format import MessageToDict

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.imports.cloudtrail import to_event
from smart_audit.client.imports.records import BadRecord

MINIMAL: dict[str, Any] = {
    "eventID": "70e5932e-9022-4b38-837e-ca10dad94eb7",
    "eventTime": "2023-07-10T12:23:15Z",
    "eventSource": "iam.amazonaws.com",
    "eventName": "CreateUser",
    "userIdentity": {"type": "IAMUser", "principalId": "AIDA1", "userName": "ada"},
}


def event_of(**changes):
    record = {**MINIMAL, **changes}
    return to_event({name: value for name, value in record.items() if value is not ...})


def restored(event):
    """The record again, out of the event alone."""
    fields = {
        "eventID": event.id,
        "eventName": event.action.partition(".")[2],
        "eventTime": event.occurred_at.ToDatetime(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "errorCode": event.outcome_reason,
        "sourceIPAddress": event.source_address,
        "userAgent": event.user_agent,
    }
    return {name: value for name, value in fields.items() if value} | MessageToDict(event.metadata)


def without_nulls(record):
    return {name: value for name, value in record.items() if value is not None}


def test_2900_real_records_come_through_without_loss(real_records):
    assert len(real_records) == 2900
    for record in real_records:
        assert restored(to_event(record)) == without_nulls(record)


def test_real_records_are_told_apart(real_records):
    events = [to_event(record) for record in real_records]
    assert len({event.id for event in events}) == 2900
    # 260 names of events; two of them occur in two services.
    assert len({event.action.partition(".")[2] for event in events}) == 260
    assert len({event.action for event in events}) == 262
    assert Counter(event.outcome for event in events) == {
        audit_pb2.OUTCOME_SUCCESS: 2600,
        audit_pb2.OUTCOME_FAILURE: 240,
        audit_pb2.OUTCOME_DENIED: 60,
    }
    assert Counter(event.actor.type for event in events) == {
        "iam-user": 2748,
        "aws-service": 76,
        "assumed-role": 76,
    }


def test_real_records_satisfy_the_contract(real_records):
    validator = protovalidate.Validator()
    for record in real_records:
        validator.validate(to_event(record))


def test_the_ids_of_cloudtrail_are_kept():
    assert event_of().id == MINIMAL["eventID"]


@pytest.mark.parametrize(
    "given", [..., None, "not a uuid", 7, "{70e5932e-9022-4b38-837e-ca10dad94eb7}"]
)
def test_without_a_usable_id_the_same_record_gets_the_same_id(given):
    once, twice = event_of(eventID=given), event_of(eventID=given)
    assert once.id == twice.id
    assert UUID(once.id).version == 5
    assert event_of(eventID=given, eventName="DeleteUser").id != once.id


def test_an_id_in_capitals_is_kept_as_it_was_written():
    event = event_of(eventID=MINIMAL["eventID"].upper())
    assert event.id == MINIMAL["eventID"]
    assert event.metadata["eventID"] == MINIMAL["eventID"].upper()


ROLE_SESSION = {
    "type": "AssumedRole",
    "principalId": "AROA1:ada@example.com",
    "arn": "arn:aws:sts::1:assumed-role/admin/ada@example.com",
    "sessionContext": {"sessionIssuer": {"principalId": "AROA1", "userName": "admin"}},
}


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        (
            {"type": "IAMUser", "principalId": "AIDA1", "arn": "arn:1", "userName": "ada"},
            ("AIDA1", "iam-user", "ada"),
        ),
        (ROLE_SESSION, ("AROA1", "assumed-role", "admin")),
        (
            {"type": "AssumedRole", "principalId": "AROA1:s"},
            ("AROA1:s", "assumed-role", ""),
        ),
        ({"type": "Root", "principalId": "1234", "arn": "arn:root"}, ("1234", "root", "")),
        (
            {"type": "AWSService", "invokedBy": "ec2.amazonaws.com"},
            ("ec2.amazonaws.com", "aws-service", ""),
        ),
        (
            {"accountId": "1234", "invokedBy": "ec2.amazonaws.com"},
            ("ec2.amazonaws.com", "aws-service", ""),
        ),
        (
            {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"},
            ("ANONYMOUS_PRINCIPAL", "aws-account", ""),
        ),
        (
            {"type": "FederatedUser", "principalId": "1234:bob", "arn": "arn:bob"},
            ("1234:bob", "federated-user", ""),
        ),
        (
            {"type": "WebIdentityUser", "principalId": "idp:app:1", "userName": "1"},
            ("idp:app:1", "web-identity-user", "1"),
        ),
        ({"type": "SAMLUser", "principalId": "x:bob"}, ("x:bob", "saml-user", "")),
        (
            {"type": "IdentityCenterUser", "onBehalfOf": {"userId": "u-1"}, "accountId": "1"},
            ("u-1", "identity-center-user", ""),
        ),
        ({"type": "Unknown", "userName": "eve", "accountId": "1"}, ("eve", "unknown", "eve")),
        (None, ("anonymous", "unknown", "")),
        ("odd", ("anonymous", "unknown", "")),
    ],
)
def test_every_kind_of_identity_has_an_actor(identity, actor):
    event = event_of(userIdentity=identity)
    assert (event.actor.id, event.actor.type, event.actor.name) == actor
    protovalidate.validate(event)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("AccessDenied", audit_pb2.OUTCOME_DENIED),
        ("AccessDeniedException", audit_pb2.OUTCOME_DENIED),
        ("Client.UnauthorizedOperation", audit_pb2.OUTCOME_DENIED),
        ("NotAuthorizedException", audit_pb2.OUTCOME_DENIED),
        ("Client.AuthFailure", audit_pb2.OUTCOME_DENIED),
        ("ThrottlingException", audit_pb2.OUTCOME_FAILURE),
        ("NoSuchTagSet", audit_pb2.OUTCOME_FAILURE),
    ],
)
def test_an_error_code_tells_the_outcome(code, outcome):
    event = event_of(errorCode=code, errorMessage="no")
    assert (event.outcome, event.outcome_reason) == (outcome, code)
    assert event.metadata["errorMessage"] == "no"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [("Failure", audit_pb2.OUTCOME_FAILURE), ("Success", audit_pb2.OUTCOME_SUCCESS)],
)
def test_a_console_login_tells_its_outcome_in_its_answer(answer, outcome):
    event = event_of(
        eventSource="signin.amazonaws.com",
        eventName="ConsoleLogin",
        responseElements={"ConsoleLogin": answer},
    )
    assert (event.action, event.outcome) == ("signin.ConsoleLogin", outcome)


def targets(**changes):
    return [(target.id, target.type) for target in event_of(**changes).targets]


def test_resources_are_the_targets():
    bucket = {"accountId": "1", "type": "AWS::S3::Bucket", "ARN": "arn:bucket"}
    objects = {"type": "AWS::S3::Object", "ARNPrefix": "arn:bucket/"}
    untyped = {"accountId": "1", "ARN": "arn:secret"}
    found = targets(
        resources=[bucket, objects, untyped, bucket, "odd", {}],
        requestParameters={"userName": "ada"},
    )
    assert found == [
        ("arn:bucket", "AWS::S3::Bucket"),
        ("arn:bucket/", "AWS::S3::Object"),
        ("arn:secret", ""),
    ]


def test_without_resources_parameters_name_the_targets():
    assert targets(requestParameters={"userName": "eve", "path": "/"}) == [
        ("eve", "AWS::IAM::User")
    ]
    instances = {"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}, {}, 1]}}
    assert targets(eventSource="ec2.amazonaws.com", requestParameters=instances) == [
        ("i-1", "AWS::EC2::Instance"),
        ("i-2", "AWS::EC2::Instance"),
    ]
    assert targets(eventSource="new.amazonaws.com", requestParameters={"userName": "eve"}) == []


def test_more_targets_than_the_contract_takes_are_kept_in_the_metadata():
    resources = [{"ARN": f"arn:{number}"} for number in range(100)]
    event = event_of(resources=resources)
    assert len(event.targets) == 64
    assert restored(event)["resources"] == resources


def test_what_is_too_long_for_a_field_is_kept_whole_in_the_metadata():
    long = "x" * 5000
    changes = {
        "userAgent": long,
        "sourceIPAddress": long,
        "errorCode": f"AccessDenied{long}",
        "userIdentity": {"type": long, "principalId": long, "arn": "arn:1", "userName": long},
        "resources": [{"ARN": long}, {"ARN": "arn:2"}],
    }
    event = event_of(**changes)
    protovalidate.validate(event)
    assert event.actor.id == "arn:1"
    assert event.outcome == audit_pb2.OUTCOME_DENIED
    assert [target.id for target in event.targets] == ["arn:2"]
    assert restored(event) == {**MINIMAL, **changes}


def test_numbers_and_nesting_that_a_struct_cannot_hold_are_kept_as_text():
    deep: Any = {}
    value = deep
    for _ in range(100):
        value["a"] = {}
        value = value["a"]
    event = event_of(additionalEventData={"big": 2**60, "small": 7, "deep": deep})
    kept = event.metadata["additionalEventData"]
    assert (kept["big"], kept["small"]) == (str(2**60), 7)
    depth, value = 0, kept["deep"]
    while not isinstance(value, str):
        depth, value = depth + 1, value["a"]
    for _ in range(depth):
        deep = deep["a"]
    assert json.loads(value) == deep


@pytest.mark.parametrize("time", ["2023-07-10T14:23:15+02:00", "2023-07-10T12:23:15.000001Z"])
def test_a_time_in_another_form_is_kept_as_it_was_written(time):
    event = event_of(eventTime=time)
    assert event.occurred_at.seconds == 1688991795
    assert event.metadata["eventTime"] == time


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ([], "not a JSON object"),
        ("text", "not a JSON object"),
        ({**MINIMAL, "eventName": None}, "no eventName"),
        ({**MINIMAL, "eventName": 7}, "no eventName"),
        ({**MINIMAL, "eventSource": ""}, "no eventSource"),
        ({**MINIMAL, "eventTime": None}, "no eventTime"),
        ({**MINIMAL, "eventTime": "yesterday"}, "not a time"),
        ({**MINIMAL, "eventTime": "2023-07-10T12:23:15"}, "no time zone"),
        ({**MINIMAL, "eventTime": "1969-12-31T23:59:59Z"}, "before 1970"),
        ({**MINIMAL, "eventTime": "9999-12-31T23:59:59-14:00"}, "not a time"),
        ({**MINIMAL, "eventName": "Create User"}, "no action"),
        ({**MINIMAL, "eventName": "x" * 200}, "no action"),
        ({**MINIMAL, "userAgent": "\ud800"}, "no UTF-8"),
        ({**MINIMAL, "requestParameters": {"\ud800": 1}}, "no UTF-8"),
        ({**MINIMAL, "requestParameters": {"a": ["\ud800"]}}, "no UTF-8"),
    ],
)
def test_what_is_no_record_is_refused_with_the_reason(record, why):
    with pytest.raises(BadRecord, match=why):
        to_event(record)
