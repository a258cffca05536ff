"""What the use cases of a person's own account share."""

from smart_audit.auth.domain import (
    INSTALLATION,
    Acting,
    OrganisationId,
    Outcome,
    User,
    UserId,
    canonical,
)
from smart_audit.auth.errors import UserNotFound
from smart_audit.auth.repository import Repositories
from smart_audit.auth.throttle import domain_of
from smart_audit.auth.use_cases.common import Deps, Work, decision, record
from smart_audit.auth.use_cases.throttling import check_limits


async def the_user(user_id: UserId, repositories: Repositories) -> User:
    """The user behind a token or a link, locked. Raises: UserNotFound."""
    user = await repositories.users.get(user_id, lock=True)
    if user is None:
        raise UserNotFound("the user of this token is gone")
    return user


async def is_own_password(
    password: str, user: User, acting: Acting, work: Work, deps: Deps
) -> bool:
    """Whether it is the user's password; guesses are counted with those at logins.

    Raises: TooManyAttempts, Unavailable.
    """
    account = canonical(user.email)
    where = {"account": account, "organisation": domain_of(account)}
    await check_limits("login", acting, work, deps, **where)
    if await deps.hasher.verify(password, user.password_hash) is None:
        return False
    await deps.throttle.succeeded("login", address=acting.client.address, **where)
    return True


async def home_of(user_id: UserId, repositories: Repositories) -> OrganisationId:
    """In whose log stands what a user does before there is a session."""
    membership = await repositories.organisations.first_membership(user_id)
    return membership.organisation.id if membership else INSTALLATION


async def record_own(user: User, acting: Acting, repositories: Repositories, deps: Deps) -> None:
    """Record what a user has done to the own account."""
    organisation_id = (
        acting.organisation_id if acting.person else await home_of(user.id, repositories)
    )
    event = decision(
        acting,
        Outcome.SUCCESS,
        organisation_id,
        deps,
        user=user,
        targets=(("user", str(user.id)),),
    )
    await record(event, repositories)
