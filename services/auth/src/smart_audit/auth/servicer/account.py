"""AccountService: from the wire to a use case and back."""

from typing import Any, Final

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from smart_audit.api.auth.v1 import account_pb2, account_pb2_grpc
from smart_audit.auth import pages
from smart_audit.auth.messages.auth import from_login
from smart_audit.auth.messages.common import from_duration, from_user
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.use_cases.account import delete_my_account, export_my_data, update_profile
from smart_audit.auth.use_cases.common import Deps, Work
from smart_audit.auth.use_cases.login import LoggedIn, SecondFactorNeeded
from smart_audit.auth.use_cases.login_codes import (
    LoginWithCode,
    login_with_code,
    request_login_code,
)
from smart_audit.auth.use_cases.passwords import (
    change_password,
    request_password_reset,
    reset_password,
)
from smart_audit.auth.use_cases.verify_email import (
    change_email,
    request_email_verification,
    verify_email,
)

HTML: Final = "text/html; charset=utf-8"


class AccountServicer(Servicer, account_pb2_grpc.AccountServiceServicer):
    """A person's own account."""

    def __init__(self, work: Work, deps: Deps) -> None:
        super().__init__(work, deps)
        self._page = pages.load()

    async def RequestEmailVerification(
        self, request: account_pb2.RequestEmailVerificationRequest, context: Any
    ) -> Any:
        """Send a link that verifies the caller's address."""
        await self._done(request_email_verification(acting(), self._work, self._deps))
        return account_pb2.RequestEmailVerificationResponse()

    async def VerifyEmail(self, request: account_pb2.VerifyEmailRequest, context: Any) -> Any:
        """Verify an address, or change to it."""
        email = await self._done(verify_email(request.token, acting(), self._work, self._deps))
        return account_pb2.VerifyEmailResponse(email=email)

    async def RequestPasswordReset(
        self, request: account_pb2.RequestPasswordResetRequest, context: Any
    ) -> Any:
        """Send a link that lets choose a new password."""
        await self._done(request_password_reset(request.email, acting(), self._work, self._deps))
        return account_pb2.RequestPasswordResetResponse()

    async def ResetPassword(self, request: account_pb2.ResetPasswordRequest, context: Any) -> Any:
        """Choose a new password by a link."""
        await self._done(
            reset_password(request.token, request.new_password, acting(), self._work, self._deps)
        )
        return account_pb2.ResetPasswordResponse()

    async def ChangePassword(self, request: account_pb2.ChangePasswordRequest, context: Any) -> Any:
        """Change the caller's password."""
        ended = await self._done(
            change_password(
                request.current_password,
                request.new_password,
                acting(),
                self._work,
                self._deps,
                end_others=request.end_other_sessions,
            )
        )
        return account_pb2.ChangePasswordResponse(ended_sessions=ended)

    async def ChangeEmail(self, request: account_pb2.ChangeEmailRequest, context: Any) -> Any:
        """Send a link to the address that the caller wants to have."""
        await self._done(change_email(request.new_email, acting(), self._work, self._deps))
        return account_pb2.ChangeEmailResponse()

    async def UpdateProfile(self, request: account_pb2.UpdateProfileRequest, context: Any) -> Any:
        """Change the caller's names."""
        user = await self._done(
            update_profile(request.first_name, request.last_name, acting(), self._work, self._deps)
        )
        return account_pb2.UpdateProfileResponse(user=from_user(user))

    async def ExportMyData(self, request: account_pb2.ExportMyDataRequest, context: Any) -> Any:
        """Return all that is held about the caller."""
        data = await self._done(export_my_data(acting(), self._work, self._deps))
        return account_pb2.ExportMyDataResponse(data=ParseDict(data, Struct()))

    async def DeleteMyAccount(
        self, request: account_pb2.DeleteMyAccountRequest, context: Any
    ) -> Any:
        """Delete the caller's account."""
        await self._done(delete_my_account(request.confirm_email, acting(), self._work, self._deps))
        return account_pb2.DeleteMyAccountResponse()

    async def GetAccountPage(self, request: account_pb2.GetAccountPageRequest, context: Any) -> Any:
        """Return the page that a link leads to."""
        headers = (
            ("content-security-policy", self._page.policy),
            ("cache-control", "no-store"),
        )
        await context.send_initial_metadata(headers)
        return HttpBody(content_type=HTML, data=self._page.html)

    async def RequestLoginCode(
        self, request: account_pb2.RequestLoginCodeRequest, context: Any
    ) -> Any:
        """Send a code to log in with."""
        challenge, lifetime = await self._done(
            request_login_code(request.email, acting(), self._work, self._deps)
        )
        return account_pb2.RequestLoginCodeResponse(
            challenge=challenge, expires_in=from_duration(lifetime)
        )

    async def LoginWithCode(self, request: account_pb2.LoginWithCodeRequest, context: Any) -> Any:
        """Open a session with a code."""
        command = LoginWithCode(request.challenge, request.code)
        answer: LoggedIn | SecondFactorNeeded = await self._done(
            login_with_code(command, acting(), self._work, self._deps)
        )
        return from_login(answer)
