"""Tell what a token is, and revoke one."""

from dataclasses import replace
from uuid import UUID

from smart_audit.auth.domain import (
    Acting,
    Exchange,
    OrganisationId,
    Outcome,
    RefreshToken,
    Session,
    UserId,
    token_hash,
)
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.sessions import end_sessions, revoke
from smart_audit.core.errors import Unauthenticated
from smart_audit.core.ids import SECRET_LENGTH
from smart_audit.core.revocations import token_key
from smart_audit.core.tokens import Caller, TokenVerifier


async def introspect(
    token: str, asking: OrganisationId, verifier: TokenVerifier, work: Work, deps: Deps
) -> Caller | tuple[RefreshToken, Session] | None:
    """What a token of one organisation is; None for one that is not good, or not of it.

    An access token costs no database: its signature is remembered, revocations are in memory.
    Source: RFC 7662.
    """
    try:
        caller = await verifier.verify(token)
    except Unauthenticated:
        return await _live_refresh_token(token, asking, work, deps)
    return caller if caller.organisation_id == asking else None


async def _live_refresh_token(
    token: str, asking: OrganisationId, work: Work, deps: Deps
) -> tuple[RefreshToken, Session] | None:
    if len(token) != SECRET_LENGTH:
        return None
    async with work.within(asking, None) as repositories:
        found = await repositories.sessions.find_token(token_hash(token))
        if found is None:
            return None
        refresh_token, session = found
        membership = await repositories.organisations.live_membership(session.user_id, asking)
        now = deps.now()
    exchange = refresh_token.exchange(now, deps.lifetimes.refresh_grace)
    if membership is None or not session.is_live(now) or exchange is not Exchange.ROTATE:
        return None
    return refresh_token, session


async def revoke_token(
    token: str,
    of: OrganisationId | None,
    acting: Acting,
    verifier: TokenVerifier,
    work: Work,
    deps: Deps,
) -> None:
    """Refuse an access token from now on, or end the session of a refresh token.

    of: the organisation whose tokens alone may be revoked; None for any. What is no good token, or
    not one of it, is let be. Source: RFC 7009.
    """
    try:
        caller = await verifier.verify(token)
    except Unauthenticated:
        await _revoke_refresh_token(token, of, acting, work, deps)
    else:
        if of in (None, caller.organisation_id):
            await _revoke_access_token(caller, acting, work, deps)


async def _revoke_access_token(caller: Caller, acting: Acting, work: Work, deps: Deps) -> None:
    organisation_id = OrganisationId(caller.organisation_id)
    async with work.within(organisation_id, None) as repositories:
        await revoke([token_key(caller.token_id)], repositories, deps)
        event = decision(
            acting if caller.is_person else replace(acting, machine_id=caller.subject),
            Outcome.SUCCESS,
            organisation_id,
            deps,
            user_id=UserId(UUID(caller.subject)) if caller.is_person else None,
            targets=(("token", caller.token_id),),
        )
        await record(event, repositories)


async def _revoke_refresh_token(
    token: str, of: OrganisationId | None, acting: Acting, work: Work, deps: Deps
) -> None:
    async with work.everywhere() as repositories:
        found = await repositories.sessions.find_token(token_hash(token))
        if found is None:
            return
        _, session = found
        if of not in (None, session.organisation_id) or not session.is_live(deps.now()):
            return
        await end_sessions([session], repositories, deps)
        event = decision(
            acting,
            Outcome.SUCCESS,
            session.organisation_id,
            deps,
            user_id=session.user_id,
            targets=(("session", str(session.id)),),
        )
        await record(event, repositories)
