"""Transactions in the name of one organisation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from smart_audit.audit import append as appending
from smart_audit.audit.append import Appended, Effect
from smart_audit.audit.domain import Entry, OrganisationId, WrappedKey
from smart_audit.audit.recent import Recent
from smart_audit.audit.repository.counting import PLANNING as COUNTING
from smart_audit.audit.repository.counting import EventCounter
from smart_audit.audit.repository.event_finder import PLANNING, EventFinder
from smart_audit.audit.repository.event_search import EventSearch
from smart_audit.audit.repository.level import Level, level
from smart_audit.audit.repository.log_reader import LogReader
from smart_audit.audit.repository.phrases import PhraseStore
from smart_audit.audit.repository.projection import ProjectionStore
from smart_audit.audit.repository.subjects import live_keys
from smart_audit.audit.repository.unprojected import OpenKeys
from smart_audit.audit.terms import TermKey
from smart_audit.audit.wrapping import Wrapping
from smart_audit.core.database import NO_SETTINGS, transaction
from smart_audit.core.rpc.status import is_unreachable

REMEMBERED_TERM_KEYS = 64
RECORDS_READS = "SELECT audit.records_reads(%s)"
PROJECTING: Mapping[str, str] = MappingProxyType(
    # What a crash of the server takes back of a projection is projected again.
    {"synchronous_commit": "off"}
)

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]


@dataclass(frozen=True, slots=True)
class Searching:
    """What searches read of one log, in one transaction."""

    organisation_id: OrganisationId
    level: Level
    """How far the projection was when the transaction began."""
    events: EventSearch
    phrases: PhraseStore
    log: LogReader


class Database:
    """Opens transactions in the name of one organisation."""

    def __init__(self, engine: AsyncEngine, appenders: Pool, wrapping: Wrapping) -> None:
        self._appenders = appenders
        self._engine = engine
        self._wrapping = wrapping
        self.recent = Recent()
        self.open_keys = self.new_open_keys()
        self._term_keys = lru_cache(REMEMBERED_TERM_KEYS)(wrapping.term_key)

    @asynccontextmanager
    async def transaction(
        self, organisation_id: OrganisationId, settings: Mapping[str, str] = NO_SETTINGS
    ) -> AsyncIterator[AsyncConnection]:
        """One transaction that sees the rows of one organisation; settings: further ones for it."""
        async with transaction(self._engine, _own(organisation_id, settings)) as connection:
            yield connection

    @asynccontextmanager
    async def begin(self, organisation_id: OrganisationId) -> AsyncIterator[LogReader]:
        """One transaction on the log of one organisation."""
        async with self.transaction(organisation_id) as connection:
            yield LogReader(connection, organisation_id, self._wrapping)

    @asynccontextmanager
    async def projecting(self, organisation_id: OrganisationId) -> AsyncIterator[ProjectionStore]:
        """One transaction on what search reads of the log of one organisation."""
        async with self.transaction(organisation_id, PROJECTING) as connection:
            yield ProjectionStore(connection, organisation_id)

    def new_open_keys(self) -> OpenKeys:
        """Remembers no key yet."""
        return OpenKeys(self._wrapping)

    @asynccontextmanager
    async def counting(
        self, organisation_id: OrganisationId
    ) -> AsyncIterator[tuple[EventCounter, LogReader]]:
        """One transaction that counts the events of one organisation as of one moment."""
        settings = _own(organisation_id, COUNTING)
        async with transaction(self._engine, settings, consistent=True) as connection:
            yield (
                await EventCounter.open(
                    connection, organisation_id, self.term_key(organisation_id)
                ),
                LogReader(connection, organisation_id, self._wrapping),
            )

    @asynccontextmanager
    async def finding(self, organisation_id: OrganisationId) -> AsyncIterator[EventFinder]:
        """One transaction that finds events of one organisation by filters."""
        async with self.transaction(organisation_id, PLANNING) as connection:
            key = self.term_key(organisation_id)
            yield EventFinder(connection, organisation_id, self._wrapping, key)

    @asynccontextmanager
    async def searching(self, organisation_id: OrganisationId) -> AsyncIterator[Searching]:
        """One transaction that searches the log of one organisation."""
        async with self.transaction(organisation_id, PLANNING) as connection:
            yield Searching(
                organisation_id,
                await level(connection, organisation_id),
                EventSearch(connection, organisation_id, self.term_key(organisation_id)),
                PhraseStore(connection, organisation_id),
                LogReader(connection, organisation_id, self._wrapping),
            )

    def term_key(self, organisation_id: OrganisationId) -> TermKey:
        """The key of an organisation's terms."""
        return self._term_keys(organisation_id)

    @asynccontextmanager
    async def everywhere(self) -> AsyncIterator[AsyncConnection]:
        """One transaction on what belongs to no organisation."""
        async with transaction(self._engine) as connection:
            yield connection

    async def append(
        self,
        organisation_id: OrganisationId,
        batch: Sequence[Entry],
        effect: Effect | None = None,
    ) -> Appended:
        """Append a batch of entries, durable on return.

        Raises: KeysDestroyed, RegistryChanged, and what the effect raises.
        """
        try:
            appended = await self._append(organisation_id, batch, effect)
        except psycopg.OperationalError as error:
            if not is_unreachable(error):
                raise
            # After a restart of the database the pool holds dead connections, and asking each time
            # would cost a round trip. What was committed all the same is found by its ids.
            await self._appenders.check()
            appended = await self._append(organisation_id, batch, effect)
        self.recent.add(organisation_id, appended.fresh)
        return appended

    async def _append(
        self, organisation_id: OrganisationId, batch: Sequence[Entry], effect: Effect | None
    ) -> Appended:
        async with self._appenders.connection() as connection:
            return await appending.append(
                connection, organisation_id, batch, self._wrapping.authenticate, effect
            )

    async def records_reads(self, organisation_id: OrganisationId) -> bool:
        """Whether reads of a log are recorded in it, as it is at this moment."""
        async with self._appenders.connection() as connection:
            cursor = await connection.execute(RECORDS_READS, (organisation_id,))
            row = await cursor.fetchone()
            return row is not None and bool(row[0])

    async def live_subject_keys(
        self, organisation_id: OrganisationId, new: Sequence[WrappedKey]
    ) -> list[WrappedKey]:
        """The live keys of the subjects of `new`; a subject without one gets the one of `new`."""
        async with self.transaction(organisation_id) as connection:
            return await live_keys(connection, organisation_id, new)

    async def ensure_partitions(self, at: datetime) -> None:
        """Make the partitions that events recorded at `at` and in the month after it need."""
        async with self.everywhere() as connection:
            await connection.execute(select(func.audit.ensure_partitions(at)))


def _own(organisation_id: OrganisationId, settings: Mapping[str, str]) -> Mapping[str, str]:
    """The settings of a transaction that sees the rows of one organisation, and further ones."""
    return {"audit.organisation_id": str(organisation_id), **settings}
