"""AuthService: between protobuf and the domain."""

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.domain import Membership, SessionId, User
from smart_audit.auth.keys import PublicKey
from smart_audit.auth.messages.common import (
    BEARER,
    from_duration,
    from_organisation,
    from_summary,
    from_user,
)
from smart_audit.auth.use_cases.common import Tokens
from smart_audit.auth.use_cases.login import LoggedIn, Login
from smart_audit.auth.use_cases.signup import SignedUp, Signup


def to_signup(request: auth_pb2.SignupRequest) -> Signup:
    """The command of a signup."""
    return Signup(request.email, request.password, request.first_name, request.last_name)


def from_signed_up(signed_up: SignedUp) -> auth_pb2.SignupResponse:
    """The answer to a signup."""
    return auth_pb2.SignupResponse(
        message="User created successfully",
        user=from_summary(signed_up.user),
        organisation_id=str(signed_up.organisation_id),
    )


def to_login(request: auth_pb2.LoginRequest) -> Login:
    """The command of a login."""
    return Login(request.email, request.password)


def from_logged_in(logged_in: LoggedIn) -> auth_pb2.LoginResponse:
    """The answer to a login."""
    tokens = logged_in.tokens
    return auth_pb2.LoginResponse(
        access_token=tokens.access_token,
        token_type=BEARER,
        expires_in=from_duration(tokens.expires_in),
        refresh_token=tokens.refresh_token,
        refresh_expires_in=from_duration(tokens.refresh_expires_in),
        user=from_summary(logged_in.user),
        organisation_id=str(logged_in.session.organisation_id),
        session_id=str(logged_in.session.id),
    )


def from_tokens(tokens: Tokens) -> auth_pb2.RefreshTokenResponse:
    """The answer to a refresh."""
    return auth_pb2.RefreshTokenResponse(
        access_token=tokens.access_token,
        token_type=BEARER,
        expires_in=from_duration(tokens.expires_in),
        refresh_token=tokens.refresh_token,
        refresh_expires_in=from_duration(tokens.refresh_expires_in),
    )


def from_me(user: User, membership: Membership, session_id: SessionId) -> auth_pb2.GetMeResponse:
    """The answer to "who am I"."""
    return auth_pb2.GetMeResponse(
        user=from_user(user),
        organisation=from_organisation(membership),
        session_id=str(session_id),
    )


def from_keys(keys: list[PublicKey]) -> auth_pb2.GetJwksResponse:
    """The published keys (RFC 7517, RFC 8037)."""
    return auth_pb2.GetJwksResponse(
        keys=[
            auth_pb2.JsonWebKey(
                kty="OKP", crv="Ed25519", x=key.x, kid=key.id, use="sig", alg="EdDSA"
            )
            for key in keys
        ]
    )
