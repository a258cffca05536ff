"""List and end sessions."""

from collections.abc import Sequence

from smart_audit.auth.domain import (
    Acting,
    AuditEvent,
    OrganisationId,
    Outcome,
    Session,
    SessionId,
    UserId,
)
from smart_audit.auth.errors import SessionNotFound
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Basics, Deps, Work, decision, record
from smart_audit.auth.use_cases.notices import notify
from smart_audit.core.revocations import member_key, session_key, user_key
from smart_audit.core.tokens import LEEWAY


async def list_sessions(user_id: UserId, work: Work, deps: Deps) -> list[Session]:
    """A person's live sessions, the last used first."""
    async with work.within(None, user_id) as repositories:
        now = deps.now()
        sessions = await repositories.sessions.live(user_id, now)
        return [one for one in sessions if now - one.last_used_at < deps.lifetimes.refresh_token]


async def revoke_session(session_id: SessionId, acting: Acting, work: Work, deps: Deps) -> None:
    """End one of the caller's sessions. Raises: SessionNotFound."""
    me = acting.me
    async with work.within(None, me.user_id) as repositories:
        session = await repositories.sessions.get(session_id, lock=True)
        mine = session is not None and session.user_id == me.user_id
        if session is None or not mine or not session.is_live(deps.now()):
            raise SessionNotFound("you have no such live session", session_id=str(session_id))
        await end_sessions([session], repositories, deps)
        await record(_ended(acting, [session], deps), repositories)


async def revoke_other_sessions(acting: Acting, work: Work, deps: Deps) -> int:
    """End all of the caller's sessions but the one that calls; gives how many."""
    me = acting.me
    async with work.within(None, me.user_id) as repositories:
        others = await end_other_sessions(me.user_id, me.session_id, repositories, deps)
        user = await repositories.users.get(me.user_id)
        if user and others:
            await notify(user, "sessions.ended", acting, repositories, deps)
        await record(_ended(acting, others, deps), repositories)
        return len(others)


async def end_other_sessions(
    user_id: UserId, kept: SessionId | None, repositories: Repositories, deps: Basics
) -> list[Session]:
    """End all sessions of a user but one, or all of them."""
    live = await repositories.sessions.live(user_id, deps.now())
    others = [session for session in live if session.id != kept]
    await end_sessions(others, repositories, deps)
    return others


async def end_sessions(
    sessions: Sequence[Session], repositories: Repositories, deps: Basics
) -> None:
    """End sessions; once this is committed, their tokens are refused everywhere."""
    now = deps.now()
    await repositories.sessions.end([session.id for session in sessions], now)
    await revoke([session_key(session.id) for session in sessions], repositories, deps)


async def revoke_user(subject: UserId | str, repositories: Repositories, deps: Basics) -> None:
    """Refuse all tokens that a user, or a service account, was given up to now."""
    await revoke([user_key(subject)], repositories, deps)


async def revoke_member(
    user_id: UserId, organisation_id: OrganisationId, repositories: Repositories, deps: Basics
) -> None:
    """Refuse a member's tokens for one organisation: what they say of the role is not so any more.

    The sessions live on; a refresh gives tokens of the new role, or is refused without one.
    """
    await revoke([member_key(user_id, organisation_id)], repositories, deps)


async def revoke(keys: Sequence[bytes], repositories: Repositories, deps: Basics) -> None:
    """Refuse the tokens with these keys that were issued up to now."""
    now = deps.now()
    expires_at = now + deps.lifetimes.access_token + LEEWAY
    await repositories.revocations.add(keys, now, expires_at)


def _ended(acting: Acting, sessions: Sequence[Session], deps: Deps) -> AuditEvent:
    targets = tuple(("session", str(session.id)) for session in sessions)
    return decision(acting, Outcome.SUCCESS, acting.organisation_id, deps, targets=targets)
