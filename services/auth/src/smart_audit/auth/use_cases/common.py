"""What the use cases are given, and what they share."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from smart_audit.auth.domain import (
    USER_SCOPES,
    AuditEvent,
    Client,
    OrganisationId,
    Outcome,
    RefreshToken,
    Session,
    User,
    UserId,
    token_hash,
)
from smart_audit.auth.keys import TokenIssuer
from smart_audit.auth.passwords import Hasher
from smart_audit.auth.repository import Repositories
from smart_audit.core.database import UnitOfWork


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things live."""

    access_token: timedelta
    refresh_token: timedelta
    session: timedelta
    refresh_grace: timedelta


@dataclass(frozen=True, slots=True)
class Deps:
    """What the use cases need besides the database."""

    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    new_secret: Callable[[], str]
    hasher: Hasher
    issuer: TokenIssuer
    lifetimes: Lifetimes
    successor_key: bytes


Work = UnitOfWork[Repositories]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a session."""

    access_token: str
    refresh_token: str
    expires_in: timedelta
    refresh_expires_in: timedelta


def new_refresh_token(secret: str, session: Session, at: datetime, deps: Deps) -> RefreshToken:
    """What is stored of a refresh token; it never outlives its session."""
    expires_at = min(at + deps.lifetimes.refresh_token, session.expires_at)
    return RefreshToken(token_hash(secret), session.id, expires_at)


async def issue_tokens(
    session: Session, secret: str, token: RefreshToken, at: datetime, deps: Deps
) -> Tokens:
    """An access token for a session, beside its refresh token."""
    lifetime = deps.lifetimes.access_token
    access_token = await deps.issuer.issue(
        str(session.user_id), session.organisation_id, USER_SCOPES, lifetime, str(session.id)
    )
    return Tokens(access_token, secret, lifetime, token.expires_at - at)


def decision(
    action: str,
    outcome: Outcome,
    organisation_id: OrganisationId,
    client: Client,
    deps: Deps,
    *,
    user: User | None = None,
    user_id: UserId | None = None,
    email: str = "",
    reason: str = "",
    targets: tuple[tuple[str, str], ...] = (),
) -> AuditEvent:
    """The audit event of a decision about a user, or about somebody unknown."""
    known = user.id if user else user_id
    return AuditEvent(
        id=deps.new_id(),
        organisation_id=organisation_id,
        action=action,
        occurred_at=deps.now(),
        outcome=outcome,
        client=client,
        reason=reason,
        actor_id=str(known) if known else "anonymous",
        actor_type="user" if known else "anonymous",
        actor_name=user.name if user else "",
        actor_email=user.email if user else email,
        targets=targets,
        metadata={"request_id": client.request_id} if client.request_id else {},
    )


async def record(event: AuditEvent, repositories: Repositories) -> None:
    """Put an event into the outbox, in the transaction of its decision."""
    await repositories.outbox.add(
        {
            **asdict(event),
            "id": str(event.id),
            "organisation_id": str(event.organisation_id),
            "occurred_at": event.occurred_at.isoformat(),
            "outcome": event.outcome.value,
        }
    )
