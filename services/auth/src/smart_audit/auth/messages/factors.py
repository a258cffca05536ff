"""FactorService: between protobuf and the domain."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from smart_audit.api.auth.v1 import auth_pb2, factors_pb2
from smart_audit.auth.factors import (
    Passkey,
    PasskeyAnswer,
    Proof,
    RecoveryCode,
    TotpCode,
)
from smart_audit.auth.messages.common import from_time
from smart_audit.auth.totp import qr_svg
from smart_audit.auth.use_cases.factors import ListedFactors
from smart_audit.auth.use_cases.passkeys import NewPasskey
from smart_audit.auth.use_cases.totp import EnrolledTotp
from smart_audit.core.errors import InvalidArgument

# A credential has some kilobytes, with the longest attestations too.
MAX_CREDENTIAL_BYTES = 64 * 1024


def to_proof(request: auth_pb2.CompleteLoginRequest | auth_pb2.ReauthenticateRequest) -> Proof:
    """The second factor of a request that has one. Raises: InvalidArgument."""
    match request.WhichOneof("factor"):
        case "totp_code":
            return TotpCode(request.totp_code)
        case "recovery_code":
            return RecoveryCode(request.recovery_code)
        case _:
            return to_answer(request.passkey, "passkey")


def to_answer(credential: Struct, field: str = "credential") -> PasskeyAnswer:
    """What an authenticator has made or signed. Raises: InvalidArgument."""
    if credential.ByteSize() > MAX_CREDENTIAL_BYTES:
        what = f"must be at most {MAX_CREDENTIAL_BYTES} bytes"
        raise InvalidArgument(f"{field} {what}", fields={field: what})
    return PasskeyAnswer(MessageToDict(credential))


def to_new_passkey(request: factors_pb2.FinishPasskeyRegistrationRequest) -> NewPasskey:
    """The passkey to add. Raises: InvalidArgument."""
    return NewPasskey(to_answer(request.credential), request.name, request.end_other_sessions)


def from_options(options: Mapping[str, Any]) -> Struct:
    """Options for the browser."""
    struct = Struct()
    struct.update(dict(options))
    return struct


def from_enrolled(enrolled: EnrolledTotp) -> factors_pb2.EnrolTotpResponse:
    """What the app is told."""
    return factors_pb2.EnrolTotpResponse(
        secret=enrolled.secret, otpauth_uri=enrolled.uri, qr_svg=qr_svg(enrolled.uri)
    )


def from_listed(listed: ListedFactors) -> factors_pb2.ListFactorsResponse:
    """A person's factors."""
    totp = listed.factors.confirmed_totp
    confirmed_at = totp.confirmed_at if totp else None
    return factors_pb2.ListFactorsResponse(
        totp_confirmed_at=from_time(confirmed_at) if confirmed_at else None,
        passkeys=map(from_passkey, listed.factors.passkeys),
        recovery_codes_left=listed.factors.recovery_codes_left,
        required=listed.required,
    )


def from_passkey(passkey: Passkey) -> factors_pb2.Passkey:
    """A passkey, as its owner sees it."""
    return factors_pb2.Passkey(
        id=str(passkey.id),
        name=passkey.name,
        backed_up=passkey.backed_up,
        created_at=from_time(passkey.created_at),
        last_used_at=from_time(passkey.last_used_at) if passkey.last_used_at else None,
    )
