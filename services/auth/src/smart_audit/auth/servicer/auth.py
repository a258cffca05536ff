"""AuthService: from the wire to a use case and back."""

from typing import Any

from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.auth.keys import KeyRing
from smart_audit.auth.messages import auth as messages
from smart_audit.auth.messages.factors import from_options, to_answer
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.use_cases.common import Deps, Work
from smart_audit.auth.use_cases.complete_login import complete_login
from smart_audit.auth.use_cases.get_me import get_me
from smart_audit.auth.use_cases.login import LoggedIn, SecondFactorNeeded, login
from smart_audit.auth.use_cases.logout import logout
from smart_audit.auth.use_cases.passkey_login import begin_passkey_login, finish_passkey_login
from smart_audit.auth.use_cases.reauthenticate import reauthenticate
from smart_audit.auth.use_cases.refresh_token import Refresh, refresh
from smart_audit.auth.use_cases.signup import signup
from smart_audit.core.rpc.context import current_caller


class AuthServicer(Servicer, auth_pb2_grpc.AuthServiceServicer):
    """Signing up, logging in, and who am I."""

    def __init__(self, work: Work, deps: Deps, keys: KeyRing) -> None:
        super().__init__(work, deps)
        self._keys = keys

    async def Signup(self, request: auth_pb2.SignupRequest, context: Any) -> Any:
        """Create a user with a personal organisation."""
        command = messages.to_signup(request)
        signed_up = await self._done(signup(command, acting(), self._work, self._deps))
        return messages.from_signed_up(signed_up)

    async def Login(self, request: auth_pb2.LoginRequest, context: Any) -> Any:
        """Open a session."""
        command = messages.to_login(request)
        answer: LoggedIn | SecondFactorNeeded = await self._done(
            login(command, acting(), self._work, self._deps)
        )
        return messages.from_login(answer)

    async def CompleteLogin(self, request: auth_pb2.CompleteLoginRequest, context: Any) -> Any:
        """Complete a login by a second factor."""
        command = messages.to_complete_login(request)
        logged_in = await self._done(complete_login(command, acting(), self._work, self._deps))
        return messages.from_logged_in(logged_in, auth_pb2.CompleteLoginResponse)

    async def BeginPasskeyLogin(
        self, request: auth_pb2.BeginPasskeyLoginRequest, context: Any
    ) -> Any:
        """Begin a login, or a step-up, by a passkey."""
        options = await begin_passkey_login(self._work, self._deps)
        return auth_pb2.BeginPasskeyLoginResponse(options=from_options(options))

    async def FinishPasskeyLogin(
        self, request: auth_pb2.FinishPasskeyLoginRequest, context: Any
    ) -> Any:
        """Open a session by a passkey alone."""
        answer = to_answer(request.credential)
        logged_in = await self._done(finish_passkey_login(answer, acting(), self._work, self._deps))
        return messages.from_logged_in(logged_in, auth_pb2.FinishPasskeyLoginResponse)

    async def Reauthenticate(self, request: auth_pb2.ReauthenticateRequest, context: Any) -> Any:
        """Authenticate again within the session."""
        command = messages.to_reauthenticate(request, current_caller().token_id)
        tokens = await self._done(reauthenticate(command, acting(), self._work, self._deps))
        return messages.from_tokens(tokens, auth_pb2.ReauthenticateResponse)

    async def RefreshToken(self, request: auth_pb2.RefreshTokenRequest, context: Any) -> Any:
        """Exchange a refresh token."""
        command = Refresh(request.refresh_token)
        tokens = await self._done(refresh(command, acting(), self._work, self._deps))
        return messages.from_tokens(tokens, auth_pb2.RefreshTokenResponse)

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
