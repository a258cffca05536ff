"""EventTypeService: from the wire to a use case and back."""

from typing import Any

from smart_audit.api.audit.v1 import event_types_pb2 as pb
from smart_audit.api.audit.v1 import event_types_pb2_grpc
from smart_audit.audit.messages.event_types import (
    from_event_type,
    from_policy,
    to_definitions,
    to_policy,
)
from smart_audit.audit.messages.pages import to_name, to_name_token, to_page_size
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import actor, organisation
from smart_audit.audit.use_cases.event_types import (
    delete_event_type,
    get_event_type,
    get_policy,
    list_event_types,
    update_policy,
    upsert_event_types,
)
from smart_audit.audit.use_cases.own_events import Governing


class EventTypeServicer(event_types_pb2_grpc.EventTypeServiceServicer):
    """The registry of event types."""

    def __init__(self, database: Database, deps: Governing) -> None:
        self._database = database
        self._deps = deps

    async def UpsertEventTypes(self, request: pb.UpsertEventTypesRequest, context: Any) -> Any:
        """Register event types."""
        taken = await upsert_event_types(
            organisation(), to_definitions(request), actor(), self._database, self._deps
        )
        return pb.UpsertEventTypesResponse(event_types=map(from_event_type, taken))

    async def GetEventType(self, request: pb.GetEventTypeRequest, context: Any) -> Any:
        """Return one event type."""
        found = await get_event_type(
            organisation(), request.action, request.version, self._database
        )
        return pb.GetEventTypeResponse(event_type=from_event_type(found))

    async def ListEventTypes(self, request: pb.ListEventTypesRequest, context: Any) -> Any:
        """Return a page of event types."""
        (after,) = to_name(request, 1, organisation()) or ("",)
        found, end = await list_event_types(
            organisation(), after, to_page_size(request), self._database
        )
        token = to_name_token(None if end is None else [end], request, organisation())
        return pb.ListEventTypesResponse(
            event_types=map(from_event_type, found), next_page_token=token
        )

    async def DeleteEventType(self, request: pb.DeleteEventTypeRequest, context: Any) -> Any:
        """Take an event type out of force."""
        await delete_event_type(organisation(), request.action, actor(), self._database, self._deps)
        return pb.DeleteEventTypeResponse()

    async def GetEventTypePolicy(self, request: pb.GetEventTypePolicyRequest, context: Any) -> Any:
        """Return the policy."""
        policy = await get_policy(organisation(), self._database)
        return pb.GetEventTypePolicyResponse(policy=from_policy(policy))

    async def UpdateEventTypePolicy(
        self, request: pb.UpdateEventTypePolicyRequest, context: Any
    ) -> Any:
        """Replace the policy."""
        policy = await update_policy(
            organisation(), to_policy(request.policy), actor(), self._database, self._deps
        )
        return pb.UpdateEventTypePolicyResponse(policy=from_policy(policy))
