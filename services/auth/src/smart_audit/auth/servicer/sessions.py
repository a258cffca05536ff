"""SessionService and RevocationService: from the wire to a use case and back."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from smart_audit.api.auth.v1 import sessions_pb2, sessions_pb2_grpc
from smart_audit.auth.domain import SessionId
from smart_audit.auth.messages.sessions import from_revocations, from_session
from smart_audit.auth.revocation_feed import RevocationFeed
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.use_cases.sessions import (
    list_sessions,
    revoke_other_sessions,
    revoke_session,
)


class SessionServicer(Servicer, sessions_pb2_grpc.SessionServiceServicer):
    """A person's own sessions."""

    async def ListSessions(self, request: sessions_pb2.ListSessionsRequest, context: Any) -> Any:
        """Return the caller's live sessions."""
        me = acting().me
        sessions = await list_sessions(me.user_id, self._work, self._deps)
        return sessions_pb2.ListSessionsResponse(
            sessions=[from_session(session, me.session_id) for session in sessions]
        )

    async def RevokeSession(self, request: sessions_pb2.RevokeSessionRequest, context: Any) -> Any:
        """End one of the caller's sessions."""
        session_id = SessionId(UUID(request.session_id))
        await self._done(revoke_session(session_id, acting(), self._work, self._deps))
        return sessions_pb2.RevokeSessionResponse()

    async def RevokeOtherSessions(
        self, request: sessions_pb2.RevokeOtherSessionsRequest, context: Any
    ) -> Any:
        """End all of the caller's sessions but the one that calls."""
        ended = await self._done(revoke_other_sessions(acting(), self._work, self._deps))
        return sessions_pb2.RevokeOtherSessionsResponse(ended=ended)


class RevocationServicer(sessions_pb2_grpc.RevocationServiceServicer):
    """Which tokens are good no longer."""

    def __init__(self, feed: RevocationFeed) -> None:
        self._feed = feed

    async def WatchRevocations(
        self, request: sessions_pb2.WatchRevocationsRequest, context: Any
    ) -> AsyncIterator[sessions_pb2.WatchRevocationsResponse]:
        """Send all revocations, then each new one."""
        async for revocations in self._feed.watch():
            yield from_revocations(revocations)
