"""Transactions in the name of one organisation."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from smart_audit.audit import append as appending
from smart_audit.audit import arrays
from smart_audit.audit.domain import Entry, OrganisationId, WrappedKey
from smart_audit.audit.repository.log_reader import LogReader
from smart_audit.audit.repository.subjects import live_keys
from smart_audit.audit.wrapping import Wrapping


class Database:
    """Opens transactions in the name of one organisation."""

    def __init__(self, engine: AsyncEngine, wrapping: Wrapping) -> None:
        self._engine = engine
        event.listen(engine.sync_engine, "connect", _take_columns)
        self._sessions = async_sessionmaker(engine)
        self._wrapping = wrapping

    @asynccontextmanager
    async def session(self, organisation_id: OrganisationId) -> AsyncIterator[AsyncSession]:
        """One transaction that sees the rows of one organisation."""
        async with self._sessions.begin() as session:
            setting = func.set_config("audit.organisation_id", str(organisation_id), True)  # noqa: FBT003
            await session.execute(select(setting))
            yield session

    @asynccontextmanager
    async def begin(self, organisation_id: OrganisationId) -> AsyncIterator[LogReader]:
        """One transaction on the log of one organisation."""
        async with self.session(organisation_id) as session:
            yield LogReader(session, organisation_id, self._wrapping)

    @asynccontextmanager
    async def everywhere(self) -> AsyncIterator[AsyncSession]:
        """One transaction on what belongs to no organisation."""
        async with self._sessions.begin() as session:
            yield session

    async def append(
        self,
        organisation_id: OrganisationId,
        batch: Sequence[Entry],
        effect: appending.Effect | None = None,
    ) -> appending.Appended:
        """Append a batch of entries, durable on return.

        Raises: KeysDestroyed, and what the effect raises.
        """
        async with self._engine.connect() as connection:
            raw = (await connection.get_raw_connection()).driver_connection
            if raw is None:
                raise RuntimeError("the pool gave a connection that is closed")
            return await appending.append(raw, organisation_id, batch, effect)

    async def live_subject_keys(
        self, organisation_id: OrganisationId, new: Sequence[WrappedKey]
    ) -> list[WrappedKey]:
        """The live keys of the subjects of `new`; a subject without one gets the one of `new`."""
        async with self.session(organisation_id) as session:
            return await live_keys(session, organisation_id, new)

    async def ensure_partitions(self, at: datetime) -> None:
        """Make the partitions that events recorded at `at` and in the month after it need."""
        async with self.everywhere() as session:
            await session.execute(select(func.audit.ensure_partitions(at)))


def _take_columns(connection: Any, _record: Any) -> None:
    arrays.register(connection.driver_connection)
