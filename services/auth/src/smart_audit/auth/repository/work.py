"""Transactions of auth: what each may see, and who is woken once it is committed."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from smart_audit.auth.repository.queues import QUEUED, Queue
from smart_audit.auth.repository.repositories import Repositories
from smart_audit.core.database import NO_SETTINGS, transaction

# How the connections of the pool begin: whoever wants less says so; logins and refreshes, which
# know nobody yet, need not. Any other connection of the role sees nothing.
CONNECTION_OPTIONS = "-c auth.everywhere=on"


class Work:
    """Opens transactions, one a call. Row-level security holds each to what it names."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._wakers: dict[Queue, Callable[[], None]] = {}

    def wakes(self, queue: Queue, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something was put into a queue, and committed."""
        self._wakers[queue] = wake

    def everywhere(self) -> AbstractAsyncContextManager[Repositories]:
        """A transaction that sees all organisations.

        For what happens before anybody is known (logins, refreshes), for administrators of the
        installation, and for work in the background.
        """
        return self._begin()

    def within(
        self, organisation_id: UUID | None, user_id: UUID | None
    ) -> AbstractAsyncContextManager[Repositories]:
        """A transaction that sees what belongs to one organisation, and to one user anywhere."""
        return self._begin(
            {
                "auth.everywhere": "off",
                "auth.organisation_id": str(organisation_id or ""),
                "auth.user_id": str(user_id or ""),
            }
        )

    @asynccontextmanager
    async def _begin(
        self, settings: Mapping[str, str] = NO_SETTINGS
    ) -> AsyncIterator[Repositories]:
        """Committed at the end, rolled back when an exception passes."""
        async with transaction(self._engine, settings) as connection:
            queued: set[Queue] = set()
            connection.info[QUEUED] = queued
            yield Repositories(connection)
        for queue in queued & self._wakers.keys():
            self._wakers[queue]()
