"""AuthService: from the wire to a use case and back."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.auth import messages
from smart_audit.auth.domain import Client, OrganisationId, SessionId, UserId
from smart_audit.auth.errors import SessionEnded
from smart_audit.auth.keys import KeyRing
from smart_audit.auth.use_cases.common import Deps, Work
from smart_audit.auth.use_cases.get_me import get_me
from smart_audit.auth.use_cases.login import login
from smart_audit.auth.use_cases.logout import logout
from smart_audit.auth.use_cases.refresh_token import Refresh, refresh
from smart_audit.auth.use_cases.signup import signup
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.context import current_caller, current_client, current_request_id
from smart_audit.core.tokens import Caller

T = TypeVar("T")


class AuthServicer(auth_pb2_grpc.AuthServiceServicer):
    """Translates; the use cases decide."""

    def __init__(
        self, work: Work, keys: KeyRing, deps: Deps, wake_dispatcher: Callable[[], None]
    ) -> None:
        self._work = work
        self._keys = keys
        self._deps = deps
        self._wake_dispatcher = wake_dispatcher

    async def Signup(self, request: auth_pb2.SignupRequest, context: Any) -> Any:
        """Create a user with a personal organisation."""
        command = messages.to_signup(request, _client())
        return messages.from_signed_up(await self._done(signup(command, self._work, self._deps)))

    async def Login(self, request: auth_pb2.LoginRequest, context: Any) -> Any:
        """Open a session."""
        command = messages.to_login(request, _client())
        return messages.from_logged_in(await self._done(login(command, self._work, self._deps)))

    async def RefreshToken(self, request: auth_pb2.RefreshTokenRequest, context: Any) -> Any:
        """Exchange a refresh token."""
        command = Refresh(request.refresh_token, _client())
        return messages.from_tokens(await self._done(refresh(command, self._work, self._deps)))

    async def Logout(self, request: auth_pb2.LogoutRequest, context: Any) -> Any:
        """End the caller's session."""
        session_id = _session_of(current_caller())
        await self._done(logout(session_id, _client(), self._work, self._deps))
        return auth_pb2.LogoutResponse(message="Logged out")

    async def GetMe(self, request: auth_pb2.GetMeRequest, context: Any) -> Any:
        """Tell who the token belongs to."""
        caller = current_caller()
        session_id = _session_of(caller)
        user, membership = await get_me(
            UserId(UUID(caller.subject)),
            OrganisationId(caller.organisation_id),
            session_id,
            self._work,
            self._deps,
        )
        return messages.from_me(user, membership, session_id)

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, context: Any) -> Any:
        """Publish the verification keys."""
        return messages.from_keys(await self._keys.published())

    async def _done(self, use_case: Awaitable[T | DomainError]) -> T:
        """Wake the dispatcher, and raise a refusal, once the decision has been committed."""
        result = await use_case
        self._wake_dispatcher()
        if isinstance(result, DomainError):
            raise result
        return result


def _client() -> Client:
    address, user_agent = current_client()
    return Client(address, user_agent, current_request_id())


def _session_of(caller: Caller) -> SessionId:
    if caller.session_id is None:
        raise SessionEnded("the access token belongs to no session; log in as a user")
    return SessionId(caller.session_id)
