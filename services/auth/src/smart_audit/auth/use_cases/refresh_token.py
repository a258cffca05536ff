"""Exchange a refresh token for its successor."""

from dataclasses import dataclass, field

from smart_audit.auth.domain import (
    INSTALLATION,
    Acting,
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
    refuse,
)
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.sessions import end_sessions
from smart_audit.core.errors import Unauthenticated
from smart_audit.core.revocations import SessionEnded


@dataclass(frozen=True, slots=True)
class Refresh:
    """The refresh token to exchange."""

    refresh_token: str = field(repr=False)


async def refresh(
    command: Refresh, acting: Acting, work: Work, deps: Deps
) -> Tokens | Unauthenticated:
    """Rotate a refresh token; a reuse outside the grace ends its session.

    The new tokens say what the user may do now. Source: RFC 9700, section 4.14.2.
    """
    async with work.everywhere() as repositories:
        found = await repositories.sessions.find_token(token_hash(command.refresh_token))
        if found is None:
            refusal = RefreshTokenInvalid("the refresh token is not valid; log in again")
            return await refuse_exchange(refusal, None, acting, repositories, deps)
        token, session = found
        refused = await check(token, session, acting, repositories, deps)
        if refused is not None:
            return await refuse_exchange(refused, session, acting, repositories, deps)
        return await rotate(command.refresh_token, token, session, acting, repositories, deps)


async def check(
    token: RefreshToken, session: Session, acting: Acting, repositories: Repositories, deps: Deps
) -> Unauthenticated | None:
    """Why a refresh token cannot be exchanged, if so; a reuse ends its session."""
    now = deps.now()
    if not session.is_live(now):
        return SessionEnded("the session has ended; log in again")
    impersonator = session.impersonator_id
    if impersonator and not await repositories.administration.administers(impersonator):
        return SessionEnded("whoever acts as the user is no administrator any more")
    match token.exchange(now, deps.lifetimes.refresh_grace):
        case Exchange.EXPIRED:
            return RefreshTokenExpired("the refresh token has expired; log in again")
        case Exchange.REUSED:
            # One of two holders has stolen it, and nobody knows which: neither may go on.
            await end_sessions([session], repositories, deps)
            if user := await repositories.users.get(session.user_id):
                await notify(user, "session.token_reused", acting, repositories, deps)
            return RefreshTokenReused("the refresh token was used before; log in again")
        case _:
            return None


async def rotate(
    refresh_token: str,
    token: RefreshToken,
    session: Session,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> Tokens | Unauthenticated:
    """Give the successor of a refresh token, and an access token of what the user may do now."""
    now = deps.now()
    secret = successor(refresh_token, deps.successor_key)
    following = new_refresh_token(secret, session, now, deps)
    if token.rotated_at is None:
        membership = await repositories.sessions.rotate(
            token, following, session, acting.client.address, now
        )
    else:
        membership = await repositories.organisations.live_membership(
            session.user_id, session.organisation_id
        )
    if membership is None:
        gone = SessionEnded("you are not in this organisation any more; log in again")
        return await refuse_exchange(gone, session, acting, repositories, deps)
    event = decision(
        acting,
        Outcome.SUCCESS,
        session.organisation_id,
        deps,
        user_id=session.user_id,
        targets=(("session", str(session.id)),),
        **session.marks,
    )
    await record(event, repositories)
    return await issue_tokens(session, membership, secret, following, deps)


async def refuse_exchange(
    refusal: Unauthenticated,
    session: Session | None,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
) -> Unauthenticated:
    """Record the refusal of a refresh token; session: whose it is, if that is known."""
    if session is None:
        return await refuse(refusal, acting, INSTALLATION, repositories, deps)
    return await refuse(
        refusal,
        acting,
        session.organisation_id,
        repositories,
        deps,
        user_id=session.user_id,
        targets=(("session", str(session.id)),),
    )
