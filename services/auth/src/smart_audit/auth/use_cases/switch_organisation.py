"""Move a session to another organisation."""

import asyncio
from dataclasses import dataclass, field, replace

from smart_audit.auth.domain import Acting, OrganisationId, token_hash
from smart_audit.auth.errors import OrganisationNotFound, RefreshTokenInvalid
from smart_audit.auth.use_cases.common import Deps, Tokens, Work
from smart_audit.auth.use_cases.refresh_token import check, refuse_exchange, rotate
from smart_audit.auth.use_cases.sessions import revoke
from smart_audit.core.errors import Unauthenticated
from smart_audit.core.revocations import session_key
from smart_audit.core.rpc.access import ImpersonationForbidden

A_MILLISECOND_AND_MORE = 0.002


@dataclass(frozen=True, slots=True)
class Switch:
    """Where the session is to go, and its refresh token."""

    organisation_id: OrganisationId
    refresh_token: str = field(repr=False)


async def switch_organisation(
    command: Switch, acting: Acting, work: Work, deps: Deps
) -> Tokens | Unauthenticated:
    """Exchange the session's refresh token for tokens of another organisation.

    The session moves: a call that races with the same refresh token gets the same successor, for
    the new organisation. Raises: OrganisationNotFound, ImpersonationForbidden.
    """
    me = acting.me
    if acting.impersonator_id is not None:
        raise ImpersonationForbidden("an administrator acts as somebody in one organisation alone")
    async with work.within(None, me.user_id) as repositories:
        found = await repositories.sessions.find_token(token_hash(command.refresh_token))
        if found is None or found[1].id != me.session_id:
            refusal = RefreshTokenInvalid("the refresh token is not this session's; log in again")
            return await refuse_exchange(refusal, None, acting, repositories, deps)
        token, session = found
        refused = await check(token, session, acting, repositories, deps)
        if refused is not None:
            return await refuse_exchange(refused, session, acting, repositories, deps)
        organisations = repositories.organisations
        if await organisations.live_membership(me.user_id, command.organisation_id) is None:
            raise OrganisationNotFound(
                "you are in no such organisation", organisation_id=str(command.organisation_id)
            )
        moved = replace(session, organisation_id=command.organisation_id)
        await repositories.sessions.move(moved)
        await revoke([session_key(session.id)], repositories, deps)
        # Tokens are told apart by milliseconds: the new one has to come after the end of the old.
        await asyncio.sleep(A_MILLISECOND_AND_MORE)
        return await rotate(command.refresh_token, token, moved, acting, repositories, deps)
