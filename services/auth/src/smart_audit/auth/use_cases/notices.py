"""Mail about what others, or the person, have done: notices, and invitations."""

from datetime import datetime
from typing import Protocol

from smart_audit.auth.domain import Acting, OrganisationId, User
from smart_audit.auth.errors import EmailUnverified
from smart_audit.auth.mail.letters import Invitation, Notice
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.accounts import the_user
from smart_audit.auth.use_cases.common import Deps
from smart_audit.auth.use_cases.mails import client_to_tell, send


class Invited(Protocol):
    """An invitation, as its letter tells it."""

    @property
    def organisation_id(self) -> OrganisationId:
        """Where to."""
        ...

    @property
    def email(self) -> str:
        """Whom."""
        ...

    @property
    def role(self) -> str:
        """As what."""
        ...

    @property
    def expires_at(self) -> datetime:
        """Until when."""
        ...


async def notify(
    user: User,
    what: str,
    acting: Acting,
    repositories: Repositories,
    deps: Deps,
    *,
    detail: str = "",
) -> None:
    """Queue a notice to a user, in the transaction of the change.

    what: a stable name, e.g. "passkey.added", "password.changed", "session.impersonated". The
    template `notice.jinja` has the words for it. detail: what else the user should know.
    """
    client = client_to_tell(user, acting)
    await send(Notice(what, deps.now(), client, detail), user.email, repositories, deps)


async def send_invitation(
    invitation: Invited, token: str, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    """Queue the mail with an invitation's token, in the transaction of the invitation.

    Whoever has not shown an address of their own makes us write to nobody else's.

    Raises: EmailUnverified.
    """
    inviter = await the_user(acting.me.user_id, repositories)
    check_verified(inviter)
    membership = await repositories.organisations.membership(inviter.id, invitation.organisation_id)
    letter = Invitation(
        token,
        membership.organisation.name if membership else "",
        inviter.name,
        invitation.role,
        invitation.expires_at,
    )
    await send(letter, invitation.email, repositories, deps)


def check_verified(user: User) -> None:
    """What concerns others needs an address that is the user's. Raises: EmailUnverified."""
    if user.email_verified_at is None:
        raise EmailUnverified("verify your e-mail address first; ask for a link if you need one")
