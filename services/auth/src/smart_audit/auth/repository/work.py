"""Transactions of auth: what each may see, and who is woken once it is committed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from smart_audit.auth.repository.queues import QUEUED, Queue
from smart_audit.auth.repository.repositories import Repositories

# How the connections of the pool begin: whoever wants less says so, in one round trip; logins and
# refreshes, which know nobody yet, need none. Any other connection of the role sees nothing.
CONNECTION_OPTIONS = "-c auth.everywhere=on"
# Of an organisation and a user. As text, since to compile it would take as long as to run it.
WITHIN = """
SELECT set_config('auth.everywhere', 'off', true), set_config('auth.organisation_id', %s, true),
    set_config('auth.user_id', %s, true)
"""


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
        return self._begin(str(organisation_id or ""), str(user_id or ""))

    @asynccontextmanager
    async def _begin(self, *names: str) -> AsyncIterator[Repositories]:
        """Committed at the end, rolled back when an exception passes; names: see `WITHIN`."""
        async with self._engine.begin() as connection:
            queued: set[Queue] = set()
            connection.info[QUEUED] = queued
            if names:
                await connection.exec_driver_sql(WITHIN, names)
            yield Repositories(connection)
        for queue in queued & self._wakers.keys():
            self._wakers[queue]()
