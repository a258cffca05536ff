"""Tell a person of a change that concerns the safety of the account."""

from smart_audit.auth.domain import Acting, User
from smart_audit.auth.mail.letters import Notice
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps
from smart_audit.auth.use_cases.mails import client_to_tell, send


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
