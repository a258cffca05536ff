"""Take over users of another system."""

from collections.abc import Sequence

from smart_audit.auth.domain import (
    OWNER,
    Acting,
    Client,
    Organisation,
    OrganisationId,
    Outcome,
    User,
)
from smart_audit.auth.repository import Repositories, Work
from smart_audit.auth.use_cases.common import Basics, decision, record

IMPORTING = Acting("user.import", Client(), machine_id="operator")


async def add_users(users: Sequence[User], work: Work, deps: Basics) -> list[User]:
    """Add users, each with a personal organisation, in one transaction.

    Returns those whose address is taken, by earlier lines too; nothing of them is changed. So an
    import that was interrupted may be run again from its start.
    """
    async with work.everywhere() as repositories:
        return [user for user in users if not await _add(user, repositories, deps)]


async def _add(user: User, repositories: Repositories, deps: Basics) -> bool:
    if not await repositories.users.add(user):
        return False
    personal = Organisation(OrganisationId(deps.new_id()), user.name)
    await repositories.organisations.add(personal, user.id, OWNER, deps.now())
    event = decision(
        IMPORTING,
        Outcome.SUCCESS,
        personal.id,
        deps,
        targets=(("user", str(user.id)), ("organisation", str(personal.id))),
    )
    await record(event, repositories)
    return True
