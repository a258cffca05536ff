"""Act as another user: for a reason, for a while, and for all to see."""

from dataclasses import dataclass, replace
from datetime import timedelta

from smart_audit.auth.administration import Joined, is_administrator
from smart_audit.auth.domain import (
    INSTALLATION,
    Acting,
    Membership,
    OrganisationId,
    Outcome,
    Session,
    SessionId,
    User,
    UserId,
)
from smart_audit.auth.errors import NotImpersonating, UserNotFound
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.administer import check_active, find_user
from smart_audit.auth.use_cases.common import (
    Deps,
    Tokens,
    Work,
    decision,
    issue_tokens,
    new_refresh_token,
    record,
)
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.sessions import end_sessions
from smart_audit.core.rpc.access import ImpersonationForbidden

START = "auth.impersonation.start"


@dataclass(frozen=True, slots=True)
class Impersonation:
    """Whom to act as, why, for how long and where."""

    user_id: UserId
    reason: str
    duration: timedelta
    organisation_id: OrganisationId | None
    """None: the organisation joined first."""


@dataclass(frozen=True, slots=True)
class Impersonated:
    """The session that was opened, and its tokens."""

    session: Session
    tokens: Tokens


async def impersonate(
    command: Impersonation, acting: Acting, work: Work, deps: Deps
) -> Impersonated:
    """Open a session as another user, which ends by itself.

    Nobody acts as an administrator: that would be a way to more rights than one's own.
    Raises: UserNotFound, UserDeactivated, ImpersonationForbidden.
    """
    async with work.everywhere() as repositories:
        user = await find_user(command.user_id, repositories, lock=True)
        joined = await repositories.administration.organisations(user.id)
        membership = _membership(command, joined)
        check_active(user)
        if is_administrator(joined):
            raise ImpersonationForbidden("nobody may act as an administrator of the installation")
        session = _session(command, membership, acting, deps)
        secret = deps.new_secret()
        token = new_refresh_token(secret, session, session.created_at, deps)
        await repositories.sessions.add(session)
        await repositories.sessions.add_token(token)
        await _tell(user, session, acting, repositories, deps)
        tokens = await issue_tokens(session, membership, secret, token, deps)
        return Impersonated(session, tokens)


async def end_impersonation(acting: Acting, work: Work, deps: Deps) -> None:
    """End the impersonation that calls. Raises: NotImpersonating."""
    me = acting.me
    if acting.impersonator_id is None:
        raise NotImpersonating("the access token is no impersonation's; log out to end a session")
    async with work.within(None, me.user_id) as repositories:
        session = await repositories.sessions.get(me.session_id, lock=True)
        if session is None or not session.is_live(deps.now()):
            return
        await end_sessions([session], repositories, deps)
        targets = (("session", str(session.id)),)
        event = decision(acting, Outcome.SUCCESS, session.organisation_id, deps, targets=targets)
        await record(event, repositories)


def _membership(command: Impersonation, joined: list[Joined]) -> Membership:
    """Raises: UserNotFound when the user is not in the organisation."""
    for one in joined:
        if command.organisation_id in (None, one.membership.organisation.id):
            return one.membership
    raise UserNotFound("there is no such user", user_id=str(command.user_id))


def _session(command: Impersonation, membership: Membership, acting: Acting, deps: Deps) -> Session:
    now = deps.now()
    return Session(
        id=SessionId(deps.new_id()),
        user_id=command.user_id,
        organisation_id=membership.organisation.id,
        created_at=now,
        expires_at=now + command.duration,
        authenticated_at=now,
        # As strongly as the administrator has: an organisation may require a second factor.
        amr=acting.amr,
        last_used_at=now,
        address=acting.client.address,
        user_agent=acting.client.user_agent,
        impersonator_id=acting.me.user_id,
        impersonation_reason=command.reason,
    )


async def _tell(
    user: User, session: Session, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    """Tell the installation's log, the organisation's log, and the user."""
    targets = (("user", str(user.id)), ("session", str(session.id)))
    start = replace(acting, action=START)
    for who, log in ((acting, INSTALLATION), (start, session.organisation_id)):
        event = decision(who, Outcome.SUCCESS, log, deps, targets=targets, **session.marks)
        await record(event, repositories)
    why = session.impersonation_reason
    await notify(user, "session.impersonated", acting, repositories, deps, detail=why)
