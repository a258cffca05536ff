"""UserAdminService: from the wire to a use case and back."""

from typing import Any
from uuid import UUID

from smart_audit.api.auth.v1 import admin_pb2, admin_pb2_grpc
from smart_audit.auth.domain import SessionId, UserId
from smart_audit.auth.messages import admin as messages
from smart_audit.auth.messages.pages import to_page_size, to_page_token, to_place
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.trail import Trail
from smart_audit.auth.use_cases.administer import (
    deactivate_user,
    end_user_sessions,
    force_password_reset,
    get_user,
    list_users,
    log_of_user,
    reactivate_user,
)
from smart_audit.auth.use_cases.common import Deps, Work
from smart_audit.auth.use_cases.impersonate import end_impersonation, impersonate


class UserAdminServicer(Servicer, admin_pb2_grpc.UserAdminServiceServicer):
    """All users, for administrators of the installation."""

    def __init__(self, work: Work, deps: Deps, trail: Trail) -> None:
        super().__init__(work, deps)
        self._trail = trail

    async def ListUsers(self, request: admin_pb2.ListUsersRequest, context: Any) -> Any:
        """Return a page of users."""
        size = to_page_size(request.page_size, messages.MAX_USERS)
        after = messages.to_last_user(request)
        users, last = await list_users(messages.to_filter(request), after, size, self._work)
        return messages.from_users(users, last, request)

    async def GetUser(self, request: admin_pb2.GetUserRequest, context: Any) -> Any:
        """Return a user and what belongs to the user."""
        return messages.from_whole(await get_user(_id(request), self._work, self._deps))

    async def DeactivateUser(self, request: admin_pb2.DeactivateUserRequest, context: Any) -> Any:
        """Keep a user out."""
        user = await self._done(deactivate_user(_id(request), acting(), self._work, self._deps))
        return admin_pb2.DeactivateUserResponse(user=messages.from_user(user))

    async def ReactivateUser(self, request: admin_pb2.ReactivateUserRequest, context: Any) -> Any:
        """Let a user in again."""
        user = await self._done(reactivate_user(_id(request), acting(), self._work, self._deps))
        return admin_pb2.ReactivateUserResponse(user=messages.from_user(user))

    async def ForcePasswordReset(
        self, request: admin_pb2.ForcePasswordResetRequest, context: Any
    ) -> Any:
        """Make a user choose a new password."""
        reset = force_password_reset(_id(request), acting(), self._work, self._deps)
        user = await self._done(reset)
        return admin_pb2.ForcePasswordResetResponse(user=messages.from_user(user))

    async def EndUserSessions(self, request: admin_pb2.EndUserSessionsRequest, context: Any) -> Any:
        """End one session of a user, or all."""
        session_id = SessionId(UUID(request.session_id)) if request.session_id else None
        ended = await self._done(
            end_user_sessions(_id(request), session_id, acting(), self._work, self._deps)
        )
        return admin_pb2.EndUserSessionsResponse(ended=ended)

    async def ListUserEvents(self, request: admin_pb2.ListUserEventsRequest, context: Any) -> Any:
        """Return a page of what auth recorded of a user."""
        place = to_place(request.page_token, request)
        organisation_id = messages.to_organisation_id(request.organisation_id)
        log = await self._done(
            log_of_user(_id(request), organisation_id, acting(), self._work, self._deps)
        )
        events, end = await self._trail.page(
            _id(request),
            log,
            done_to=request.done_to,
            size=to_page_size(request.page_size, messages.MAX_EVENTS),
            token=place,
        )
        return admin_pb2.ListUserEventsResponse(
            events=events, next_page_token=to_page_token(end, request)
        )

    async def Impersonate(self, request: admin_pb2.ImpersonateRequest, context: Any) -> Any:
        """Open a session as another user."""
        command = messages.to_impersonation(request)
        opened = await self._done(impersonate(command, acting(), self._work, self._deps))
        return messages.from_impersonated(opened)

    async def EndImpersonation(
        self, request: admin_pb2.EndImpersonationRequest, context: Any
    ) -> Any:
        """End the impersonation that calls."""
        await self._done(end_impersonation(acting(), self._work, self._deps))
        return admin_pb2.EndImpersonationResponse()


def _id(request: Any) -> UserId:
    return UserId(UUID(request.user_id))
