"""Transactions of auth, and what each may see."""

from contextlib import AbstractAsyncContextManager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from smart_audit.auth.repository.repositories import Repositories
from smart_audit.core.database import UnitOfWork

# How the connections of the pool begin: whoever wants less says so, in one round trip; logins and
# refreshes, which know nobody yet, need none. Any other connection of the role sees nothing.
CONNECTION_OPTIONS = "-c auth.everywhere=on"


class Work:
    """Opens transactions. Row-level security holds each to what it names."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._units = UnitOfWork(engine, Repositories)

    def everywhere(self) -> AbstractAsyncContextManager[Repositories]:
        """A transaction that sees all organisations.

        For what happens before anybody is known (logins, refreshes), for administrators of the
        installation, and for work in the background.
        """
        return self._units.begin()

    def within(
        self, organisation_id: UUID | None, user_id: UUID | None
    ) -> AbstractAsyncContextManager[Repositories]:
        """A transaction that sees what belongs to one organisation, and to one user anywhere."""
        return self._units.begin(
            auth__everywhere="off",
            auth__organisation_id=str(organisation_id or ""),
            auth__user_id=str(user_id or ""),
        )
