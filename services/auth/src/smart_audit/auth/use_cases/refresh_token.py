"""Exchange a refresh token for its successor."""

from dataclasses import dataclass, field
from datetime import datetime

from smart_audit.auth.domain import (
    INSTALLATION,
    Client,
    Exchange,
    Outcome,
    RefreshToken,
    Session,
    successor,
    token_hash,
)
from smart_audit.auth.errors import (
    RefreshTokenExpired,
    RefreshTokenInvalid,
    RefreshTokenReused,
    SessionEnded,
)
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import (
    Deps,
    Tokens,
    Work,
    decision,
    issue_tokens,
    new_refresh_token,
    record,
)
from smart_audit.core.errors import Unauthenticated

ACTION = "auth.refresh"


@dataclass(frozen=True, slots=True)
class Refresh:
    """The refresh token to exchange."""

    refresh_token: str = field(repr=False)
    client: Client


async def refresh(command: Refresh, work: Work, deps: Deps) -> Tokens | Unauthenticated:
    """Rotate a refresh token; a reuse outside the grace ends its session.

    Source: RFC 9700, section 4.14.2.
    """
    async with work.begin() as repositories:
        now = deps.now()
        token = await repositories.sessions.find_token(token_hash(command.refresh_token))
        session = await repositories.sessions.get(token.session_id, lock=True) if token else None
        if token is None or session is None:
            refusal = RefreshTokenInvalid("the refresh token is not valid; log in again")
            return await _refuse(refusal, None, command, repositories, deps)
        if (refused := await _check(token, session, now, repositories, deps)) is not None:
            return await _refuse(refused, session, command, repositories, deps)
        return await _rotate(token, session, now, command, repositories, deps)


async def _check(
    token: RefreshToken, session: Session, now: datetime, repositories: Repositories, deps: Deps
) -> Unauthenticated | None:
    if not session.is_live(now):
        return SessionEnded("the session has ended; log in again")
    match token.exchange(now, deps.lifetimes.refresh_grace):
        case Exchange.EXPIRED:
            return RefreshTokenExpired("the refresh token has expired; log in again")
        case Exchange.REUSED:
            # One of two holders has stolen it, and nobody knows which: neither may go on.
            await repositories.sessions.end(session.ended(now))
            return RefreshTokenReused("the refresh token was used before; log in again")
        case _:
            return None


async def _rotate(
    token: RefreshToken,
    session: Session,
    now: datetime,
    command: Refresh,
    repositories: Repositories,
    deps: Deps,
) -> Tokens:
    secret = successor(command.refresh_token, deps.successor_key)
    following = new_refresh_token(secret, session, now, deps)
    if token.rotated_at is None:
        await repositories.sessions.spend_token(token, now)
        await repositories.sessions.add_token(following)
    event = decision(
        ACTION,
        Outcome.SUCCESS,
        session.organisation_id,
        command.client,
        deps,
        user_id=session.user_id,
        targets=(("session", str(session.id)),),
    )
    await record(event, repositories)
    return await issue_tokens(session, secret, following, now, deps)


async def _refuse(
    refusal: Unauthenticated,
    session: Session | None,
    command: Refresh,
    repositories: Repositories,
    deps: Deps,
) -> Unauthenticated:
    event = decision(
        ACTION,
        Outcome.DENIED,
        session.organisation_id if session else INSTALLATION,
        command.client,
        deps,
        user_id=session.user_id if session else None,
        reason=refusal.reason,
        targets=(("session", str(session.id)),) if session else (),
    )
    await record(event, repositories)
    return refusal
