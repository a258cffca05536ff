"""Queue mail, in the transaction of the change that it tells of."""

from smart_audit.auth.domain import Acting, Client, User
from smart_audit.auth.mail.letters import Letter
from smart_audit.auth.mail.queue import PURPOSE
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps


async def send(letter: Letter, recipient: str, repositories: Repositories, deps: Deps) -> None:
    """Queue a letter to an address; nobody's, empty, gets none at the same cost."""
    now = deps.now()
    message = deps.renderer.message(letter, recipient, deps.new_id(), now)
    sealed = deps.sealer.seal(message.as_bytes(), PURPOSE)
    await repositories.mails.add(sealed, now)


def client_to_tell(user: User | None, acting: Acting) -> Client:
    """Where something came from, for a user to know; not where an administrator sits."""
    somebody_else = acting.person is not None and (
        user is None or acting.person.user_id != user.id or acting.impersonator_id is not None
    )
    return Client() if somebody_else else acting.client
