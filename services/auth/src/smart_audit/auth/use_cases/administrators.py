"""Make and unmake administrators of the installation, by the operator's word."""

from smart_audit.auth.domain import INSTALLATION, OWNER, Acting, Outcome, User, canonical
from smart_audit.auth.errors import EmailUnverified, UserNotFound
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.administer import check_active, end_everything
from smart_audit.auth.use_cases.common import Basics, Work, decision, record


async def grant_administration(email: str, acting: Acting, work: Work, deps: Basics) -> User:
    """Make a user an owner of the installation's own organisation, who has to log in again.

    Only an address that is known to be the user's will do: anybody could have signed up with it.
    Sessions end, so that an impersonation does not come to rights that it must not have.
    Raises: UserNotFound, UserDeactivated, EmailUnverified.
    """
    async with work.everywhere() as repositories:
        user = await _find(email, repositories)
        check_active(user)
        if user.email_verified_at is None:
            raise EmailUnverified("the address is not verified; its owner has to do that first")
        await repositories.administration.add_administrator(user.id, OWNER, deps.now())
        await _settle(user, acting, repositories, deps)
        return user


async def revoke_administration(email: str, acting: Acting, work: Work, deps: Basics) -> User:
    """Take a user out of the installation's own organisation. Raises: UserNotFound."""
    async with work.everywhere() as repositories:
        user = await _find(email, repositories)
        if not await repositories.administration.remove_administrator(user.id):
            raise UserNotFound("the user is no administrator")
        await _settle(user, acting, repositories, deps)
        return user


async def _find(email: str, repositories: Repositories) -> User:
    user = await repositories.users.find(canonical(email))
    if user is None:
        raise UserNotFound(f"nobody has signed up with {email}")
    return user


async def _settle(user: User, acting: Acting, repositories: Repositories, deps: Basics) -> None:
    await end_everything(user.id, repositories, deps)
    targets = (("user", str(user.id)),)
    event = decision(acting, Outcome.SUCCESS, INSTALLATION, deps, targets=targets)
    await record(event, repositories)
