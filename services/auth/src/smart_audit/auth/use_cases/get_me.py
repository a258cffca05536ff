"""Tell who a token belongs to."""

from smart_audit.auth.domain import Acting, Membership, User
from smart_audit.auth.errors import UserNotFound
from smart_audit.auth.use_cases.common import Deps, Work
from smart_audit.core.revocations import SessionEnded


async def get_me(acting: Acting, work: Work, deps: Deps) -> tuple[User, Membership]:
    """The user and what the user is in the organisation of the token.

    Raises: SessionEnded, UserNotFound.
    """
    me = acting.me
    async with work.within(None, me.user_id) as repositories:
        session = await repositories.sessions.get(me.session_id)
        if session is None or not session.is_live(deps.now()):
            raise SessionEnded("the session has ended; log in again")
        user = await repositories.users.get(me.user_id)
        membership = await repositories.organisations.membership(me.user_id, acting.organisation_id)
        if user is None or membership is None:
            raise UserNotFound("the user of this token is gone")
        return user, membership
