"""Event types and their policy, between protobuf and the domain."""

from smart_audit.api.audit.v1 import event_types_pb2
from smart_audit.audit.event_types import Definition, EventType, Handling, Policy
from smart_audit.audit.messages.structs import to_object
from smart_audit.audit.messages.times import timestamp


def to_definitions(request: event_types_pb2.UpsertEventTypesRequest) -> list[Definition]:
    """What to register. Raises: InvalidArgument."""
    return [
        Definition(
            one.action,
            one.display_name,
            one.description,
            to_object(one.metadata_schema, f"event_types[{number}].metadata_schema")
            if one.HasField("metadata_schema")
            else None,
        )
        for number, one in enumerate(request.event_types)
    ]


def from_event_type(one: EventType) -> event_types_pb2.EventType:
    """A version of an event type."""
    message = event_types_pb2.EventType(
        action=one.action,
        display_name=one.display_name,
        description=one.description,
        version=one.version,
        created_at=timestamp(one.created_at),
        created_by=one.created_by,
    )
    if one.definition.metadata_schema is not None:
        message.metadata_schema.update(one.definition.metadata_schema)
    return message


def to_policy(message: event_types_pb2.EventTypePolicy) -> Policy:
    """The policy to take."""
    return Policy(_handling(message.unknown_actions), _handling(message.invalid_metadata))


def from_policy(policy: Policy) -> event_types_pb2.EventTypePolicy:
    """A policy."""
    handling = event_types_pb2.EventTypeHandling.ValueType
    return event_types_pb2.EventTypePolicy(
        unknown_actions=handling(policy.unknown_actions),
        invalid_metadata=handling(policy.invalid_metadata),
    )


def _handling(number: int) -> Handling:
    return Handling(number or Handling.ACCEPT)
