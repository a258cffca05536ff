"""AuthService: between protobuf and the domain."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

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
from smart_audit.auth.messages.factors import from_options, to_proof
from smart_audit.auth.use_cases.common import Tokens
from smart_audit.auth.use_cases.complete_login import CompleteLogin
from smart_audit.auth.use_cases.login import LoggedIn, Login, SecondFactorNeeded
from smart_audit.auth.use_cases.reauthenticate import Reauthenticate
from smart_audit.auth.use_cases.signup import SignedUp, Signup

T = TypeVar("T")


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


def to_complete_login(request: auth_pb2.CompleteLoginRequest) -> CompleteLogin:
    """The command that completes a login. Raises: InvalidArgument."""
    return CompleteLogin(request.challenge, to_proof(request))


def to_reauthenticate(request: auth_pb2.ReauthenticateRequest, token_id: str) -> Reauthenticate:
    """The command of a step-up. Raises: InvalidArgument."""
    proof = to_proof(request) if request.WhichOneof("factor") else None
    return Reauthenticate(request.password, proof, token_id)


def from_login(answer: LoggedIn | SecondFactorNeeded) -> auth_pb2.LoginResponse:
    """The answer to a login."""
    if isinstance(answer, LoggedIn):
        return from_logged_in(answer, auth_pb2.LoginResponse)
    return auth_pb2.LoginResponse(
        mfa_required=True,
        challenge=answer.challenge,
        challenge_expires_in=from_duration(answer.expires_in),
        factors=[factor.value for factor in answer.factors],
        passkey_options=from_options(answer.passkey_options) if answer.passkey_options else None,
    )


def from_logged_in(logged_in: LoggedIn, kind: Callable[..., T]) -> T:
    """A new session, as the answer of this kind."""
    return from_tokens(
        logged_in.tokens,
        partial(
            kind,
            user=from_summary(logged_in.user),
            organisation_id=str(logged_in.session.organisation_id),
            session_id=str(logged_in.session.id),
        ),
    )


def from_tokens(tokens: Tokens, kind: Callable[..., T]) -> T:
    """The tokens of a session, as the answer of this kind."""
    return kind(
        access_token=tokens.access_token,
        token_type=BEARER,
        expires_in=from_duration(tokens.expires_in),
        refresh_token=tokens.refresh_token,
        refresh_expires_in=from_duration(tokens.refresh_expires_in),
        second_factor_required=tokens.second_factor_required,
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
