"""From an AWS CloudTrail record to an event. Nulls are dropped.

Source: AWS CloudTrail user guide, "CloudTrail record contents" and "userIdentity element".
"""

import re
from collections.abc import Iterator
from datetime import UTC
from typing import Any, Final
from uuid import UUID

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.client.events import (
    MAX_ACTION,
    MAX_ACTOR_ID,
    MAX_ACTOR_NAME,
    MAX_ACTOR_TYPE,
    MAX_OUTCOME_REASON,
    MAX_SOURCE_ADDRESS,
    MAX_USER_AGENT,
    struct,
    timestamp,
)
from smart_audit.client.imports.cloudtrail_targets import targets_of
from smart_audit.client.imports.records import (
    BadRecord,
    Json,
    fitting,
    moment,
    object_of,
    remainder,
    stable_id,
    texts_checked,
    usual_uuid,
)

SOURCE: Final = "cloudtrail"

# uuid5 of the DNS name smart-audit.cloudtrail; it must never change, or a record that was imported
# before would be taken for a new one.
_NAMESPACE: Final = UUID("5407b2c3-b379-5c4f-b25f-96056ca62067")
_ACTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# Error codes differ from service to service: AccessDeniedException, Client.UnauthorizedOperation,
# NotAuthorizedException, AuthFailure, S3's Forbidden.
DENIED: Final = re.compile(r"AccessDenied|Unauthorized|NotAuthorized|AuthFailure|Forbidden")


def unpacked(value: Any) -> list[Any]:
    """The records of a line: one, or those of a whole CloudTrail file, {"Records": [record, …]}."""
    inner = value.get("Records") if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else [value]


def to_event(record: Any) -> audit_pb2.Event:
    """The event of one record.

    Raises: BadRecord.
    """
    record = object_of(record)
    service = _required(record, "eventSource").partition(".")[0]
    name, time = _required(record, "eventName"), _required(record, "eventTime")
    with texts_checked():
        event = audit_pb2.Event(
            id=_event_id(record),
            action=_action(service, name),
            outcome=_outcome(record, name),
            occurred_at=timestamp(moment(time, "eventTime")),
            source=SOURCE,
            actor=_actor(record.get("userIdentity")),
            targets=targets_of(record, service),
            outcome_reason=fitting([record.get("errorCode")], MAX_OUTCOME_REASON),
            source_address=fitting([record.get("sourceIPAddress")], MAX_SOURCE_ADDRESS),
            user_agent=fitting([record.get("userAgent")], MAX_USER_AGENT),
        )
        event.metadata.CopyFrom(struct(_remainder(record, event)))
    return event


def _required(record: Json, name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise BadRecord(f"no {name}")
    return value


def _event_id(record: Json) -> str:
    """CloudTrail's own id, or one that the same record always gets."""
    given = record.get("eventID")
    own = usual_uuid(given) if isinstance(given, str) else ""
    return own or stable_id(None, _NAMESPACE, SOURCE, record)


def _action(service: str, name: str) -> str:
    action = f"{service}.{name}"
    if len(action) > MAX_ACTION or not _ACTION.fullmatch(action):
        raise BadRecord(f"eventSource and eventName make no action: {action[:MAX_ACTION]!r}")
    return action


def _outcome(record: Json, name: str) -> audit_pb2.Outcome.ValueType:
    code = record.get("errorCode")
    if code:
        return audit_pb2.OUTCOME_DENIED if DENIED.search(str(code)) else audit_pb2.OUTCOME_FAILURE
    # Sign-in events, such as ConsoleLogin, have no code: {"ConsoleLogin": "Failure"}.
    answer = record.get("responseElements")
    if isinstance(answer, dict) and answer.get(name) == "Failure":
        return audit_pb2.OUTCOME_FAILURE
    return audit_pb2.OUTCOME_SUCCESS


def _actor(identity: Any) -> audit_pb2.Actor:
    """Who acted. The first candidate for the id that is present and fits is taken."""
    if not isinstance(identity, dict):
        identity = {}
    kind = identity.get("type")
    if not isinstance(kind, str) or not kind:
        # Services acting on their own are not always given a type.
        kind = "AWSService" if identity.get("invokedBy") else "Unknown"
    kebab = _WORD_START.sub("-", kind).lower()
    return audit_pb2.Actor(
        id=fitting(_id_candidates(identity), MAX_ACTOR_ID) or "anonymous",
        type=kebab if len(kebab) <= MAX_ACTOR_TYPE else "",
        name=fitting([identity.get("userName"), _issuer(identity, "userName")], MAX_ACTOR_NAME),
    )


def _id_candidates(identity: Json) -> Iterator[Any]:
    """What may serve as the actor's stable id, the opaque ones first."""
    if identity.get("type") == "AssumedRole":
        # The role: principalId and arn end with the session's name, which changes every time
        # and is often a person's e-mail address.
        yield _issuer(identity, "principalId")
        yield _issuer(identity, "arn")
    yield identity.get("principalId")
    behalf = identity.get("onBehalfOf")
    if isinstance(behalf, dict):
        yield behalf.get("userId")
    for name in ("arn", "invokedBy", "userName", "accountId"):
        yield identity.get(name)


def _issuer(identity: Json, name: str) -> Any:
    """A field of who issued the session; None when there is no session or no such field."""
    context = identity.get("sessionContext")
    issuer = context.get("sessionIssuer") if isinstance(context, dict) else None
    return issuer.get(name) if isinstance(issuer, dict) else None


def _remainder(record: Json, event: audit_pb2.Event) -> Json:
    """All that the event's own fields do not say exactly, without nulls."""
    said = {
        "eventID": event.id,
        "eventName": event.action.partition(".")[2],
        "eventTime": event.occurred_at.ToDatetime(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "errorCode": event.outcome_reason,
        "sourceIPAddress": event.source_address,
        "userAgent": event.user_agent,
    }
    given = {name: value for name, value in record.items() if value is not None}
    return remainder(given, [([name], value) for name, value in said.items()])
