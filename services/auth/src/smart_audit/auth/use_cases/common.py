"""What the use cases are given, and what they share."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from smart_audit.auth.common_passwords import CommonPasswords
from smart_audit.auth.domain import (
    Acting,
    AuditEvent,
    Membership,
    OrganisationId,
    Outcome,
    RefreshToken,
    Session,
    User,
    UserId,
    token_hash,
)
from smart_audit.auth.keys import AccessClaims, TokenIssuer
from smart_audit.auth.mail.rendering import Renderer
from smart_audit.auth.passkeys import RelyingParty
from smart_audit.auth.password_ranges import PasswordRanges
from smart_audit.auth.passwords import Hasher
from smart_audit.auth.repository import Repositories, Work
from smart_audit.auth.roles import scopes_for
from smart_audit.auth.throttle import Throttle
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.context import recorded
from smart_audit.core.sealing import Sealer

R = TypeVar("R", bound=DomainError)

# Audit refuses an event of more, and it would be lost.
MOST_TARGETS = 64

__all__ = [
    "Basics",
    "Deps",
    "Lifetimes",
    "Tokens",
    "Work",
    "decision",
    "issue_tokens",
    "record",
    "refuse",
]


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long things live."""

    access_token: timedelta
    refresh_token: timedelta
    session: timedelta
    refresh_grace: timedelta
    invitation: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Basics:
    """What every decision needs besides the database."""

    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    lifetimes: Lifetimes


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps(Basics):
    """What the use cases need besides the database."""

    new_secret: Callable[[], str]
    hasher: Hasher
    throttle: Throttle
    common_passwords: CommonPasswords
    password_ranges: PasswordRanges | None
    issuer: TokenIssuer
    successor_key: bytes
    sealer: Sealer
    relying_party: RelyingParty
    renderer: Renderer
    require_verified_email: bool


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a session."""

    access_token: str
    refresh_token: str
    expires_in: timedelta
    refresh_expires_in: timedelta
    second_factor_required: bool
    """They have no permissions, for want of a second factor."""


def new_refresh_token(secret: str, session: Session, at: datetime, deps: Deps) -> RefreshToken:
    """What is stored of a refresh token; it never outlives its session."""
    expires_at = min(at + deps.lifetimes.refresh_token, session.expires_at)
    return RefreshToken(token_hash(secret), session.id, expires_at)


async def issue_tokens(
    session: Session, membership: Membership, secret: str, token: RefreshToken, deps: Deps
) -> Tokens:
    """An access token for a session, beside its refresh token; it never outlives its session."""
    now = deps.now()
    lifetime = min(deps.lifetimes.access_token, session.expires_at - now)
    claims = AccessClaims(
        subject=str(session.user_id),
        organisation_id=session.organisation_id,
        scopes=scopes_for(membership, session.amr),
        session_id=session.id,
        authenticated_at=session.authenticated_at,
        amr=session.amr,
        impersonator_id=session.impersonator_id,
        impersonation_reason=session.impersonation_reason,
    )
    access_token = await deps.issuer.issue(claims, lifetime)
    return Tokens(
        access_token=access_token,
        refresh_token=secret,
        expires_in=lifetime,
        refresh_expires_in=token.expires_at - now,
        second_factor_required=membership.lacks_factor(session.amr),
    )


def decision(
    acting: Acting,
    outcome: Outcome,
    organisation_id: OrganisationId,
    deps: Basics,
    *,
    user: User | None = None,
    user_id: UserId | None = None,
    email: str = "",
    reason: str = "",
    targets: tuple[tuple[str, str], ...] = (),
    **metadata: Any,
) -> AuditEvent:
    """The audit event of a decision.

    The actor is who calls; before that is known, the user that the call is about, or somebody
    unknown.
    """
    actor_id, actor_type = _actor(acting, user.id if user else user_id)
    facts = {
        "request_id": acting.client.request_id,
        "targets_left_out": max(0, len(targets) - MOST_TARGETS),
        **acting.marks,
    }
    return AuditEvent(
        id=deps.new_id(),
        organisation_id=organisation_id,
        action=acting.action,
        occurred_at=deps.now(),
        outcome=outcome,
        client=acting.client,
        reason=reason,
        actor_id=actor_id,
        actor_type=actor_type,
        actor_name=user.name if user else "",
        actor_email=user.email if user else email,
        targets=targets[:MOST_TARGETS],
        metadata={name: value for name, value in (facts | metadata).items() if value},
    )


def _actor(acting: Acting, about: UserId | None) -> tuple[str, str]:
    if acting.machine_id:
        return acting.machine_id, "service"
    known = acting.person.user_id if acting.person else about
    return (str(known), "user") if known else ("anonymous", "anonymous")


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
    recorded()


async def refuse(
    refusal: R,
    acting: Acting,
    organisation_id: OrganisationId,
    repositories: Repositories,
    deps: Deps,
    **who: Any,
) -> R:
    """Record a refusal, in the transaction of what it has changed; gives it back.

    who: as `decision` takes it.
    """
    event = decision(acting, Outcome.DENIED, organisation_id, deps, reason=refusal.reason, **who)
    await record(replace(event, metadata=event.metadata | refusal.metadata), repositories)
    return refusal


async def record_refusal(
    acting: Acting, reason: str, facts: dict[str, str], work: Work, deps: Deps
) -> None:
    """Record a refusal that left no trace of its own, in a transaction of its own."""
    event = decision(acting, Outcome.DENIED, acting.organisation_id, deps, reason=reason)
    event = replace(event, metadata=event.metadata | facts)
    async with work.everywhere() as repositories:
        await record(event, repositories)
