"""The registry of event types, as an administrator fills it, and saved searches."""

from typing import Any

from smart_audit.api.audit.v1 import event_types_pb2 as pb
from smart_audit.api.audit.v1 import event_types_pb2_grpc, saved_searches_pb2_grpc
from tests.support.world import User, World

ACCEPT = pb.EVENT_TYPE_HANDLING_ACCEPT
FLAG = pb.EVENT_TYPE_HANDLING_FLAG
REFUSE = pb.EVENT_TYPE_HANDLING_REFUSE


def registry(world: World) -> Any:
    """A stub."""
    return event_types_pb2_grpc.EventTypeServiceStub(world.audit_channel)


def saved_searches(world: World) -> Any:
    """A stub."""
    return saved_searches_pb2_grpc.SavedSearchServiceStub(world.audit_channel)


def event_type(action: str, schema: dict[str, Any] | None = None, **texts: str) -> pb.EventType:
    """An event type to register."""
    message = pb.EventType(action=action, **texts)
    if schema is not None:
        message.metadata_schema.update(schema)
    return message


async def register(world: World, user: User, *types: pb.EventType) -> list[pb.EventType]:
    """Register event types."""
    request = pb.UpsertEventTypesRequest(event_types=types)
    answer = await registry(world).UpsertEventTypes(request, metadata=user.metadata)
    return list(answer.event_types)


async def set_policy(world: World, user: User, unknown: int = ACCEPT, invalid: int = ACCEPT) -> Any:
    """Say what becomes of events that do not fit."""
    policy = pb.EventTypePolicy(unknown_actions=unknown, invalid_metadata=invalid)  # type: ignore[arg-type]
    request = pb.UpdateEventTypePolicyRequest(policy=policy)
    return await registry(world).UpdateEventTypePolicy(request, metadata=user.metadata)
