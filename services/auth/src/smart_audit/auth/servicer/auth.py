"""AuthService: from the wire to a use case and back."""

from collections.abc import Callable
from typing import Any

from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.auth.keys import KeyRing
from smart_audit.auth.messages import auth as messages
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.use_cases.common import Deps, Work
from smart_audit.auth.use_cases.get_me import get_me
from smart_audit.auth.use_cases.login import login
from smart_audit.auth.use_cases.logout import logout
from smart_audit.auth.use_cases.refresh_token import Refresh, refresh
from smart_audit.auth.use_cases.signup import signup


class AuthServicer(Servicer, auth_pb2_grpc.AuthServiceServicer):
    """Signing up, logging in, and who am I."""

    def __init__(self, work: Work, deps: Deps, wake: Callable[[], None], keys: KeyRing) -> None:
        super().__init__(work, deps, wake)
        self._keys = keys

    async def Signup(self, request: auth_pb2.SignupRequest, context: Any) -> Any:
        """Create a user with a personal organisation."""
        command = messages.to_signup(request)
        signed_up = await self._done(signup(command, acting(), self._work, self._deps))
        return messages.from_signed_up(signed_up)

    async def Login(self, request: auth_pb2.LoginRequest, context: Any) -> Any:
        """Open a session."""
        command = messages.to_login(request)
        logged_in = await self._done(login(command, acting(), self._work, self._deps))
        return messages.from_logged_in(logged_in)

    async def RefreshToken(self, request: auth_pb2.RefreshTokenRequest, context: Any) -> Any:
        """Exchange a refresh token."""
        command = Refresh(request.refresh_token)
        tokens = await self._done(refresh(command, acting(), self._work, self._deps))
        return messages.from_tokens(tokens)

    async def Logout(self, request: auth_pb2.LogoutRequest, context: Any) -> Any:
        """End the caller's session."""
        await self._done(logout(acting(), self._work, self._deps))
        return auth_pb2.LogoutResponse(message="Logged out")

    async def GetMe(self, request: auth_pb2.GetMeRequest, context: Any) -> Any:
        """Tell who the token belongs to."""
        who = acting()
        user, membership = await get_me(who, self._work, self._deps)
        return messages.from_me(user, membership, who.me.session_id)

    async def GetJwks(self, request: auth_pb2.GetJwksRequest, context: Any) -> Any:
        """Publish the verification keys."""
        return messages.from_keys(await self._keys.published())
