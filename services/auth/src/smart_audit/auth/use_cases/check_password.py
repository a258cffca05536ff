"""May this password be chosen?"""

from smart_audit.auth import password_policy
from smart_audit.auth.domain import SignInPolicy, User
from smart_audit.auth.errors import PasswordTooCommon
from smart_audit.auth.password_policy import PasswordContext
from smart_audit.auth.repository import Repositories
from smart_audit.auth.use_cases.common import Deps


async def check_password(
    password: str, context: PasswordContext, deps: Deps, *, field: str = "password"
) -> None:
    """Refuse a password that is too short, common, breached or easy to guess.

    Whoever sets a password calls it, outside of a transaction, since it may ask another server.

    Raises: PasswordTooShort, PasswordTooCommon, PasswordGuessable; Unavailable when a server of
    breached passwords is configured to be needed and does not answer.
    """
    password_policy.check(password, context, deps.common_passwords, field=field)
    if deps.password_ranges is not None and await deps.password_ranges.hold(password):
        raise PasswordTooCommon(field, "is known from a breach")


async def context_of(user: User, repositories: Repositories) -> PasswordContext:
    """What an attacker knows of a user."""
    memberships = await repositories.organisations.all_memberships(user.id)
    return PasswordContext(
        user.email,
        user.first_name,
        user.last_name,
        tuple(one.organisation.name for one in memberships),
        password_only=any(
            one.organisation.sign_in_policy is SignInPolicy.PASSWORD_ONLY for one in memberships
        ),
    )
