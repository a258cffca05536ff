"""Between protobuf and the domain."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.domain import Client, Membership, Outcome, SessionId, User
from smart_audit.auth.keys import PublicKey
from smart_audit.auth.use_cases.common import Tokens
from smart_audit.auth.use_cases.login import LoggedIn, Login
from smart_audit.auth.use_cases.signup import SignedUp, Signup

BEARER = "bearer"
SOURCE = "smart-audit.auth"

OUTCOMES = {
    Outcome.SUCCESS.value: audit_pb2.OUTCOME_SUCCESS,
    Outcome.DENIED.value: audit_pb2.OUTCOME_DENIED,
}


def to_signup(request: auth_pb2.SignupRequest, client: Client) -> Signup:
    """The command of a signup."""
    return Signup(request.email, request.password, request.first_name, request.last_name, client)


def from_signed_up(signed_up: SignedUp) -> auth_pb2.SignupResponse:
    """The answer to a signup."""
    return auth_pb2.SignupResponse(
        message="User created successfully",
        user=_summary(signed_up.user),
        organisation_id=str(signed_up.organisation_id),
    )


def to_login(request: auth_pb2.LoginRequest, client: Client) -> Login:
    """The command of a login."""
    return Login(request.email, request.password, client)


def from_logged_in(logged_in: LoggedIn) -> auth_pb2.LoginResponse:
    """The answer to a login."""
    tokens = logged_in.tokens
    return auth_pb2.LoginResponse(
        access_token=tokens.access_token,
        token_type=BEARER,
        expires_in=_seconds(tokens.expires_in),
        refresh_token=tokens.refresh_token,
        refresh_expires_in=_seconds(tokens.refresh_expires_in),
        user=_summary(logged_in.user),
        organisation_id=str(logged_in.session.organisation_id),
        session_id=str(logged_in.session.id),
    )


def from_tokens(tokens: Tokens) -> auth_pb2.RefreshTokenResponse:
    """The answer to a refresh."""
    return auth_pb2.RefreshTokenResponse(
        access_token=tokens.access_token,
        token_type=BEARER,
        expires_in=_seconds(tokens.expires_in),
        refresh_token=tokens.refresh_token,
        refresh_expires_in=_seconds(tokens.refresh_expires_in),
    )


def from_me(user: User, membership: Membership, session_id: SessionId) -> auth_pb2.GetMeResponse:
    """The answer to "who am I"."""
    return auth_pb2.GetMeResponse(
        user=auth_pb2.User(
            id=str(user.id),
            email=user.email,
            first_name=user.first_name,
            last_name=user.last_name,
            created_at=_timestamp(user.created_at),
        ),
        organisation=auth_pb2.Organisation(
            id=str(membership.organisation.id),
            name=membership.organisation.name,
            role=membership.role,
        ),
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


def to_event(event: Mapping[str, Any]) -> audit_pb2.Event:
    """An event of the outbox, as audit takes it."""
    message = audit_pb2.Event(
        id=event["id"],
        organisation_id=event["organisation_id"],
        action=event["action"],
        actor=audit_pb2.Actor(
            id=event["actor_id"],
            type=event["actor_type"],
            name=event["actor_name"],
            email=event["actor_email"],
        ),
        targets=[audit_pb2.Target(type=kind, id=id_) for kind, id_ in event["targets"]],
        outcome=OUTCOMES[event["outcome"]],
        outcome_reason=event["reason"],
        occurred_at=_timestamp(datetime.fromisoformat(event["occurred_at"])),
        source=SOURCE,
        source_address=event["client"]["address"],
        user_agent=event["client"]["user_agent"],
    )
    if event["metadata"]:
        message.metadata.update(event["metadata"])
    return message


def _summary(user: User) -> auth_pb2.UserSummary:
    return auth_pb2.UserSummary(id=str(user.id), email=user.email)


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def _seconds(duration: timedelta) -> int:
    return int(duration.total_seconds())
