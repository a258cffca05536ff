"""`python -m smart_audit.auth grant-admin|revoke-admin <email>`: who administers all users."""

import sys
from collections.abc import Awaitable, Callable

from smart_audit.auth.domain import INSTALLATION, Acting, Client, User
from smart_audit.auth.repository import CONNECTION_OPTIONS, Work
from smart_audit.auth.settings import AuthSettings
from smart_audit.auth.use_cases.administrators import grant_administration, revoke_administration
from smart_audit.auth.use_cases.common import Basics
from smart_audit.auth.wiring import lifetimes_of
from smart_audit.core.database import open_engine
from smart_audit.core.ids import new_id, utc_now

OPERATOR = "operator"

Change = Callable[[str, Acting, Work, Basics], Awaitable[User]]


async def grant_admin(settings: AuthSettings, email: str) -> None:
    """Make a user an administrator. Raises: DomainError with the remedy."""
    user = await _change(grant_administration, "administrator.grant", settings, email)
    sys.stdout.write(
        f"{user.name} <{user.email}> administers this installation after the next login, in the"
        f" organisation {INSTALLATION}\n"
    )


async def revoke_admin(settings: AuthSettings, email: str) -> None:
    """Make a user an administrator no more. Raises: DomainError with the remedy."""
    user = await _change(revoke_administration, "administrator.revoke", settings, email)
    sys.stdout.write(f"{user.name} <{user.email}> administers this installation no more\n")


async def _change(change: Change, action: str, settings: AuthSettings, email: str) -> User:
    """Running services hear of it by the database: they send the event and refuse the tokens."""
    acting = Acting(action, Client(), machine_id=OPERATOR)
    deps = Basics(now=utc_now, new_id=new_id, lifetimes=lifetimes_of(settings))
    async with open_engine(
        settings.database_url.get_secret_value(),
        pool_size=1,
        application="smart-audit-auth-administrators",
        options=CONNECTION_OPTIONS,
    ) as engine:
        return await change(email, acting, Work(engine), deps)
