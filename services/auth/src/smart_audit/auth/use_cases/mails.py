"""Queue mail, in the transaction of the change that it tells of."""

from datetime import timedelta
from uuid import UUID

from smart_audit.auth.domain import UserId
from smart_audit.auth.errors import TooManyMails
from smart_audit.auth.mail.letters import Letter
from smart_audit.auth.mail.queue import PURPOSE
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps

MAILS_PER_HOUR = 5
HOUR = timedelta(hours=1)
# Whom an unknown address is taken for, so that it costs the same queries as a known one.
NOBODY = UserId(UUID(int=0))


async def send(letter: Letter, recipient: str, repositories: Repositories, deps: Deps) -> None:
    """Queue a letter to an address; nobody's, empty, gets none at the same cost."""
    now = deps.now()
    message = deps.renderer.message(letter, recipient, deps.new_id(), now)
    sealed = deps.sealer.seal(message.as_bytes(), PURPOSE)
    await repositories.mails.add(sealed, now)


async def may_send(user_id: UserId, purpose: str, repositories: Repositories, deps: Deps) -> bool:
    """Whether the hour has room for another mail of this kind to a user."""
    sent = await repositories.challenges.open(user_id, purpose, deps.now() - HOUR)
    return sent < MAILS_PER_HOUR


async def check_may_send(
    user_id: UserId, purpose: str, repositories: Repositories, deps: Deps
) -> None:
    """Raises: TooManyMails."""
    if not await may_send(user_id, purpose, repositories, deps):
        raise TooManyMails("you were sent several mails; look for them, or wait an hour")
