"""Tell who a token belongs to."""

from smart_audit.auth.domain import Membership, OrganisationId, SessionId, User, UserId
from smart_audit.auth.errors import SessionEnded, UserNotFound
from smart_audit.auth.use_cases.common import Deps, Work


async def get_me(
    user_id: UserId,
    organisation_id: OrganisationId,
    session_id: SessionId,
    work: Work,
    deps: Deps,
) -> tuple[User, Membership]:
    """The user and what the user is in the organisation.

    Raises: SessionEnded, UserNotFound.
    """
    async with work.begin() as repositories:
        session = await repositories.sessions.get(session_id)
        if session is None or not session.is_live(deps.now()):
            raise SessionEnded("the session has ended; log in again")
        found = await repositories.users.member(user_id, organisation_id)
        if found is None:
            raise UserNotFound("the user of this token is gone")
        return found
