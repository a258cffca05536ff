"""FactorService: from the wire to a use case and back."""

from typing import Any
from uuid import UUID

from smart_audit.api.auth.v1 import factors_pb2, factors_pb2_grpc
from smart_audit.auth.factors import PasskeyId
from smart_audit.auth.messages import factors as messages
from smart_audit.auth.servicer.base import Servicer, acting
from smart_audit.auth.use_cases.factors import list_factors, regenerate_recovery_codes
from smart_audit.auth.use_cases.passkeys import (
    begin_passkey,
    finish_passkey,
    remove_passkey,
    rename_passkey,
)
from smart_audit.auth.use_cases.totp import confirm_totp, enrol_totp, remove_totp


class FactorServicer(Servicer, factors_pb2_grpc.FactorServiceServicer):
    """A person's own second factors."""

    async def ListFactors(self, request: factors_pb2.ListFactorsRequest, context: Any) -> Any:
        """Return the caller's factors."""
        return messages.from_listed(await list_factors(acting(), self._work))

    async def EnrolTotp(self, request: factors_pb2.EnrolTotpRequest, context: Any) -> Any:
        """Begin with one-time codes."""
        enrolled = await self._done(enrol_totp(acting(), self._work, self._deps))
        return messages.from_enrolled(enrolled)

    async def ConfirmTotp(self, request: factors_pb2.ConfirmTotpRequest, context: Any) -> Any:
        """Confirm the app."""
        codes = await self._done(
            confirm_totp(
                request.code,
                acting(),
                self._work,
                self._deps,
                end_others=request.end_other_sessions,
            )
        )
        return factors_pb2.ConfirmTotpResponse(recovery_codes=codes)

    async def RemoveTotp(self, request: factors_pb2.RemoveTotpRequest, context: Any) -> Any:
        """Remove the app."""
        end_others = request.end_other_sessions
        await self._done(remove_totp(acting(), self._work, self._deps, end_others=end_others))
        return factors_pb2.RemoveTotpResponse()

    async def RegenerateRecoveryCodes(
        self, request: factors_pb2.RegenerateRecoveryCodesRequest, context: Any
    ) -> Any:
        """Make new recovery codes."""
        end_others = request.end_other_sessions
        codes = await self._done(
            regenerate_recovery_codes(acting(), self._work, self._deps, end_others=end_others)
        )
        return factors_pb2.RegenerateRecoveryCodesResponse(recovery_codes=codes)

    async def BeginPasskeyRegistration(
        self, request: factors_pb2.BeginPasskeyRegistrationRequest, context: Any
    ) -> Any:
        """Begin with a passkey."""
        options = await self._done(begin_passkey(acting(), self._work, self._deps))
        return factors_pb2.BeginPasskeyRegistrationResponse(options=messages.from_options(options))

    async def FinishPasskeyRegistration(
        self, request: factors_pb2.FinishPasskeyRegistrationRequest, context: Any
    ) -> Any:
        """Add the passkey."""
        command = messages.to_new_passkey(request)
        passkey, codes = await self._done(finish_passkey(command, acting(), self._work, self._deps))
        return factors_pb2.FinishPasskeyRegistrationResponse(
            passkey=messages.from_passkey(passkey), recovery_codes=codes
        )

    async def RenamePasskey(self, request: factors_pb2.RenamePasskeyRequest, context: Any) -> Any:
        """Rename a passkey."""
        passkey_id = PasskeyId(UUID(request.passkey_id))
        renamed = await self._done(
            rename_passkey(passkey_id, request.name, acting(), self._work, self._deps)
        )
        return factors_pb2.RenamePasskeyResponse(passkey=messages.from_passkey(renamed))

    async def RemovePasskey(self, request: factors_pb2.RemovePasskeyRequest, context: Any) -> Any:
        """Remove a passkey."""
        passkey_id = PasskeyId(UUID(request.passkey_id))
        end_others = request.end_other_sessions
        await self._done(
            remove_passkey(passkey_id, acting(), self._work, self._deps, end_others=end_others)
        )
        return factors_pb2.RemovePasskeyResponse()
