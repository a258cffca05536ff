"""Tell a person of a change that concerns the safety of the account."""

from smart_audit.auth.domain import Acting, Client, User
from smart_audit.auth.mail.letters import Notice
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps
from smart_audit.auth.use_cases.mails import send


async def notify(
    user: User, what: str, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    """Queue a notice to a user, in the transaction of the change.

    what: a stable name, e.g. "passkey.added", "password.changed", "session.impersonated". The
    template `notice.jinja` has the words for it.
    """
    own = acting.person is None or acting.person.user_id == user.id
    # Where an administrator sits is nothing to tell.
    client = acting.client if own and acting.impersonator_id is None else Client()
    await send(Notice(what, deps.now(), client), user.email, repositories, deps)
