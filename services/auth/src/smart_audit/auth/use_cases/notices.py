"""Tell a person of a change that concerns the safety of the account."""

from smart_audit.auth.domain import Acting, User
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps


async def notify(
    user: User, what: str, acting: Acting, repositories: Repositories, deps: Deps
) -> None:
    """Queue a notice to a user, in the transaction of the change.

    what: a stable name, e.g. "passkey.added", "password.changed", "session.impersonated".
    """
