"""Events, between protobuf and the domain."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit import domain
from smart_audit.audit.domain import OWN_SOURCES
from smart_audit.audit.errors import OrganisationForbidden
from smart_audit.audit.leaves import id_text
from smart_audit.audit.messages.structs import refused, to_object
from smart_audit.audit.messages.times import timestamp, to_datetime
from smart_audit.core.errors import InvalidArgument
from smart_audit.core.ids import new_id, utc_now
from smart_audit.core.tokens import Caller

RECORD_ANY = "events.record_any"
# Read by the thousand: a dictionary is faster than the class.
OUTCOMES = {outcome.value: outcome for outcome in domain.Outcome}
NUMBERS = {outcome: audit_pb2.Outcome.ValueType(outcome) for outcome in domain.Outcome}


def to_new_event(message: audit_pb2.Event, caller: Caller) -> domain.NewEvent:
    """The event that a caller wants recorded.

    Raises: OrganisationForbidden, InvalidArgument.
    """
    if message.source.startswith(OWN_SOURCES) and RECORD_ANY not in caller.scopes:
        what = f"must not begin with {OWN_SOURCES}: that is how the services' own events are known"
        raise InvalidArgument(f"source {what}", fields={"source": what})
    time_given = message.HasField("occurred_at")
    actor = message.actor
    event = domain.Event(
        id=domain.EventId(UUID(message.id) if message.id else new_id()),
        organisation_id=_organisation(message.organisation_id, caller),
        action=message.action,
        actor=domain.Actor(actor.id, actor.type or domain.PERSON, actor.name, actor.email),
        outcome=OUTCOMES[message.outcome],
        occurred_at=to_datetime(message.occurred_at) if time_given else utc_now(),
        targets=tuple(
            [domain.Target(one.id, one.type, one.name, one.data_subject) for one in message.targets]
        ),
        outcome_reason=message.outcome_reason,
        source=message.source,
        source_address=message.source_address,
        user_agent=message.user_agent,
        metadata={**_metadata(message), **caller.marks},
    )
    return domain.NewEvent(event, time_given, caller.subject)


def from_recorded(recorded: domain.Recorded) -> audit_pb2.Event:
    """An event out of the log."""
    event = recorded.event
    message = audit_pb2.Event(
        id=str(event.id),
        organisation_id=id_text(event.organisation_id),
        action=event.action,
        actor=audit_pb2.Actor(
            id=event.actor.id, type=event.actor.type, name=event.actor.name, email=event.actor.email
        ),
        targets=[
            audit_pb2.Target(id=target.id, type=target.type, name=target.name)
            for target in event.targets
        ],
        outcome=NUMBERS[event.outcome],
        outcome_reason=event.outcome_reason,
        occurred_at=timestamp(event.occurred_at),
        source=event.source,
        source_address=event.source_address,
        user_agent=event.user_agent,
        recorded_at=timestamp(recorded.recorded_at),
        log_index=recorded.log_index,
        recorded_by=recorded.recorded_by,
        erased_fields=recorded.erased,
    )
    if event.metadata:
        message.metadata.update(event.metadata)
    return message


def _organisation(given: str, caller: Caller) -> domain.OrganisationId:
    """Raises: OrganisationForbidden."""
    organisation_id = UUID(given) if given else caller.organisation_id
    if organisation_id != caller.organisation_id and RECORD_ANY not in caller.scopes:
        raise OrganisationForbidden(
            "the access token is for another organisation; leave organisation_id empty",
            organisation_id=given,
        )
    return domain.OrganisationId(organisation_id)


def _metadata(message: audit_pb2.Event) -> Mapping[str, Any]:
    """The metadata as plain values. Raises: InvalidArgument when too large or too deep."""
    if not message.HasField("metadata"):
        return {}
    if message.metadata.ByteSize() > domain.MAX_METADATA_BYTES:
        raise refused("metadata", f"must be at most {domain.MAX_METADATA_BYTES} bytes")
    return to_object(message.metadata, "metadata")
