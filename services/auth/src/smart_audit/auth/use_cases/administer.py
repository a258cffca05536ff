"""See and manage users, as an administrator of the installation."""

from dataclasses import dataclass, replace
from typing import Any

from smart_audit.auth.administration import Joined, UserFilter, is_last
from smart_audit.auth.domain import (
    INSTALLATION,
    Acting,
    OrganisationId,
    Outcome,
    Session,
    SessionId,
    User,
    UserId,
)
from smart_audit.auth.errors import (
    LastAdministrator,
    SessionNotFound,
    UserDeactivated,
    UserNotFound,
)
from smart_audit.auth.factors import Factors
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Basics, Deps, Work, decision, record
from smart_audit.auth.use_cases.notices import notify
from smart_audit.auth.use_cases.passwords import send_reset
from smart_audit.auth.use_cases.sessions import end_other_sessions, end_sessions, revoke_user


@dataclass(frozen=True, slots=True)
class Whole:
    """A user and what belongs to the user."""

    user: User
    joined: list[Joined]
    factors: Factors
    sessions: list[Session]


async def list_users(
    narrow: UserFilter, after: UserId | None, limit: int, work: Work
) -> tuple[list[User], UserId | None]:
    """A page of users, the latest first, and where it ends if there are more."""
    async with work.everywhere() as repositories:
        found = await repositories.administration.page(narrow, after, limit + 1)
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def get_user(user_id: UserId, work: Work, deps: Deps) -> Whole:
    """A user with organisations, factors and live sessions. Raises: UserNotFound."""
    async with work.everywhere() as repositories:
        return Whole(
            await find_user(user_id, repositories),
            await repositories.administration.organisations(user_id),
            await repositories.factors.of(user_id),
            await repositories.sessions.live(user_id, deps.now()),
        )


async def deactivate_user(user_id: UserId, acting: Acting, work: Work, deps: Deps) -> User:
    """Keep a user out, at once and everywhere. Raises: UserNotFound, LastAdministrator."""
    async with work.everywhere() as repositories:
        user = await find_user(user_id, repositories, lock=True)
        if user.deactivated_at is not None:
            return user
        if is_last(user_id, await repositories.administration.active_administrators()):
            raise LastAdministrator(
                "nobody could administer the installation then; make somebody else an"
                " administrator first"
            )
        now = deps.now()
        await repositories.administration.set_deactivated(user_id, now)
        await end_everything(user_id, repositories, deps)
        await notify(user, "account.deactivated", acting, repositories, deps)
        await _record(user, acting, repositories, deps)
        return replace(user, deactivated_at=now)


async def reactivate_user(user_id: UserId, acting: Acting, work: Work, deps: Deps) -> User:
    """Let a user in again. Raises: UserNotFound."""
    async with work.everywhere() as repositories:
        user = await find_user(user_id, repositories, lock=True)
        if user.deactivated_at is None:
            return user
        await repositories.administration.set_deactivated(user_id, None)
        await notify(user, "account.reactivated", acting, repositories, deps)
        await _record(user, acting, repositories, deps)
        return replace(user, deactivated_at=None)


async def force_password_reset(user_id: UserId, acting: Acting, work: Work, deps: Deps) -> User:
    """Make a user choose a new password, by mail: whoever asks for it learns no password.

    Raises: UserNotFound, UserDeactivated.
    """
    async with work.everywhere() as repositories:
        user = await find_user(user_id, repositories, lock=True)
        check_active(user)
        await repositories.administration.require_password_reset(user_id)
        await end_everything(user_id, repositories, deps)
        await _record(user, acting, repositories, deps)
        await notify(user, "password.reset_required", acting, repositories, deps)
        await send_reset(user, acting, repositories, deps)
        return replace(user, password_reset_required=True)


async def end_user_sessions(
    user_id: UserId, session_id: SessionId | None, acting: Acting, work: Work, deps: Deps
) -> int:
    """End one of a user's sessions, or all; gives how many. Raises: UserNotFound, SessionNotFound.

    All of them end with every access token there is, whatever session it came from.
    """
    async with work.everywhere() as repositories:
        user = await find_user(user_id, repositories)
        live = await repositories.sessions.live(user_id, deps.now())
        if session_id is None:
            await end_everything(user_id, repositories, deps)
        else:
            live = [session for session in live if session.id == session_id]
            if not live:
                raise SessionNotFound(
                    "the user has no such live session", session_id=str(session_id)
                )
            await end_sessions(live, repositories, deps)
        if live:
            await notify(user, "sessions.ended", acting, repositories, deps)
        await _record(user, acting, repositories, deps, session_id, sessions=len(live))
        return len(live)


async def log_of_user(
    user_id: UserId,
    organisation_id: OrganisationId | None,
    acting: Acting,
    work: Work,
    deps: Deps,
) -> OrganisationId:
    """Whose log to read for a user's events; the reading itself is recorded.

    The log belongs to the organisation, and an administrator of the installation need not be one
    of its members: that somebody looked has to be known. Raises: UserNotFound.
    """
    async with work.everywhere() as repositories:
        user = await find_user(user_id, repositories)
        joined = await repositories.administration.organisations(user_id)
        logs = [one.membership.organisation.id for one in joined] + [INSTALLATION]
        log = organisation_id or logs[0]
        if log not in logs:
            raise _no_such_user(user_id)
        event = decision(
            acting,
            Outcome.SUCCESS,
            INSTALLATION,
            deps,
            targets=(("user", str(user.id)), ("organisation", str(log))),
        )
        await record(event, repositories)
        return log


async def find_user(user_id: UserId, repositories: Repositories, *, lock: bool = False) -> User:
    """A user, locked until the end of the transaction if asked. Raises: UserNotFound."""
    user = await repositories.users.get(user_id, lock=lock)
    if user is None:
        raise _no_such_user(user_id)
    return user


def check_active(user: User) -> None:
    """Raises: UserDeactivated."""
    if user.deactivated_at is not None:
        raise UserDeactivated("the user is deactivated; reactivate first", user_id=str(user.id))


async def end_everything(user_id: UserId, repositories: Repositories, deps: Basics) -> None:
    """End all sessions of a user, and refuse every access token that is out."""
    await end_other_sessions(user_id, None, repositories, deps)
    await revoke_user(user_id, repositories, deps)


def _no_such_user(user_id: UserId) -> UserNotFound:
    return UserNotFound("there is no such user", user_id=str(user_id))


async def _record(
    user: User,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
    session_id: SessionId | None = None,
    **facts: Any,
) -> None:
    session = (("session", str(session_id)),) if session_id else ()
    targets = (("user", str(user.id)), *session)
    event = decision(acting, Outcome.SUCCESS, INSTALLATION, deps, targets=targets, **facts)
    await record(event, repositories)
