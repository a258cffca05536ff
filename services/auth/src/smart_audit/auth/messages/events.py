"""Between the outbox and audit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.auth.domain import Outcome
from smart_audit.auth.messages.common import from_time

SOURCE = "smart-audit.auth"

OUTCOMES = {
    Outcome.SUCCESS.value: audit_pb2.OUTCOME_SUCCESS,
    Outcome.DENIED.value: audit_pb2.OUTCOME_DENIED,
}


def to_event(event: Mapping[str, Any]) -> audit_pb2.Event:
    """An event of the outbox, as audit takes it."""
    message = audit_pb2.Event(
        id=event["id"],
        organisation_id=event["organisation_id"],
        action=event["action"],
        actor=audit_pb2.Actor(
            id=event["actor_id"],
            type=event["actor_type"],
            name=event["actor_name"],
            email=event["actor_email"],
        ),
        targets=[audit_pb2.Target(type=kind, id=id_) for kind, id_ in event["targets"]],
        outcome=OUTCOMES[event["outcome"]],
        outcome_reason=event["reason"],
        occurred_at=from_time(datetime.fromisoformat(event["occurred_at"])),
        source=SOURCE,
        source_address=event["client"]["address"],
        user_agent=event["client"]["user_agent"],
    )
    if event["metadata"]:
        message.metadata.update(event["metadata"])
    return message
