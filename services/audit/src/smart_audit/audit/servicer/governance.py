"""GovernanceService: from the wire to a use case and back."""

from typing import Any
from uuid import UUID

from smart_audit.api.audit.v1 import governance_pb2, governance_pb2_grpc
from smart_audit.audit.domain import EventId
from smart_audit.audit.messages.governance import (
    from_erasure,
    from_hold,
    from_settings,
    to_held,
    to_settings,
    to_subject,
)
from smart_audit.audit.messages.pages import to_hold_position, to_hold_token, to_page_size
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import actor, organisation
from smart_audit.audit.use_cases.erase_subject import erase_subject
from smart_audit.audit.use_cases.holds import list_holds, place_hold, release_hold
from smart_audit.audit.use_cases.log_settings import get_log_settings, update_log_settings
from smart_audit.audit.use_cases.own_events import Governing


class GovernanceServicer(governance_pb2_grpc.GovernanceServiceServicer):
    """What a log keeps, for how long, and who may read it."""

    def __init__(self, database: Database, deps: Governing) -> None:
        self._database = database
        self._deps = deps

    async def GetLogSettings(
        self, request: governance_pb2.GetLogSettingsRequest, context: Any
    ) -> Any:
        """Return the log's settings."""
        settings = await get_log_settings(organisation(), self._database)
        return governance_pb2.GetLogSettingsResponse(settings=from_settings(settings))

    async def UpdateLogSettings(
        self, request: governance_pb2.UpdateLogSettingsRequest, context: Any
    ) -> Any:
        """Replace the log's settings."""
        settings = await update_log_settings(
            organisation(), to_settings(request.settings), actor(), self._database, self._deps
        )
        return governance_pb2.UpdateLogSettingsResponse(settings=from_settings(settings))

    async def EraseSubject(self, request: governance_pb2.EraseSubjectRequest, context: Any) -> Any:
        """Erase a person."""
        erasure = await erase_subject(
            organisation(),
            to_subject(request.subject),
            request.reason,
            actor(),
            self._database,
            self._deps,
        )
        return from_erasure(erasure)

    async def PlaceHold(self, request: governance_pb2.PlaceHoldRequest, context: Any) -> Any:
        """Place a legal hold."""
        hold = await place_hold(
            organisation(), to_held(request), request.reason, actor(), self._database, self._deps
        )
        return governance_pb2.PlaceHoldResponse(hold=from_hold(hold))

    async def ReleaseHold(self, request: governance_pb2.ReleaseHoldRequest, context: Any) -> Any:
        """Release a legal hold."""
        hold = await release_hold(
            organisation(), EventId(UUID(request.hold_id)), actor(), self._database, self._deps
        )
        return governance_pb2.ReleaseHoldResponse(hold=from_hold(hold))

    async def ListHolds(self, request: governance_pb2.ListHoldsRequest, context: Any) -> Any:
        """Return a page of legal holds."""
        own = organisation()
        holds, end = await list_holds(
            own, to_hold_position(request, own), to_page_size(request), self._database
        )
        return governance_pb2.ListHoldsResponse(
            holds=map(from_hold, holds), next_page_token=to_hold_token(end, request, own)
        )
