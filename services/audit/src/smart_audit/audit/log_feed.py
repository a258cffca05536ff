"""Word of logs that grow, to whoever follows one in this process.

Postgres announces each append to every process of audit as it is committed (see `append.py`). A
process listens by one connection of its own, which no pool may take away.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
import structlog

from smart_audit.audit.domain import OrganisationId
from smart_audit.core.database import connect_args

log = structlog.get_logger()

CHANNEL = "audit_appended"
ASK_AFTER_S = 5.0
RETRY_S = 0.1
MAX_RETRY_S = 2.0


class Growth:
    """Waits for one log to grow.

    The first wait ends at once, and each later one when the log has grown since the last one
    ended: who reads the log after each wait misses nothing.
    """

    def __init__(self) -> None:
        self._grown = asyncio.Event()
        self._grown.set()

    async def wait(self) -> None:
        """Wait until the log may have grown; after a break in the feed that is so, too."""
        await self._grown.wait()
        # Cleared before the log is read: what is committed from here on ends the next wait.
        self._grown.clear()

    def tell(self) -> None:
        """End the wait."""
        self._grown.set()


class GrowthAnywhere:
    """Waits for any log to grow; it gathers which."""

    def __init__(self) -> None:
        self._grown = asyncio.Event()
        self._grown.set()
        self._organisations: set[OrganisationId] | None = None

    async def wait(self) -> frozenset[OrganisationId] | None:
        """The organisations whose logs have grown since the last wait.

        None when it may be any: at first, and after a break in the feed.
        """
        await self._grown.wait()
        self._grown.clear()
        organisations, self._organisations = self._organisations, set()
        return None if organisations is None else frozenset(organisations)

    def tell(self, organisation_id: OrganisationId | None) -> None:
        """End the wait. None: any log may have grown."""
        if organisation_id is None:
            self._organisations = None
        elif self._organisations is not None:
            self._organisations.add(organisation_id)
        self._grown.set()


class LogFeed:
    """Listens to the database for a process; runs beside the server until it is cancelled."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: dict[OrganisationId, set[Growth]] = defaultdict(set)
        self._waiting_anywhere: set[GrowthAnywhere] = set()
        self._retry_s = RETRY_S

    @contextmanager
    def grown(self, organisation_id: OrganisationId) -> Iterator[Growth]:
        """To wait for the log of an organisation to grow."""
        growth = Growth()
        waiting = self._waiting[organisation_id]
        waiting.add(growth)
        try:
            yield growth
        finally:
            waiting.discard(growth)
            if not waiting:
                self._waiting.pop(organisation_id, None)

    @contextmanager
    def grown_anywhere(self) -> Iterator[GrowthAnywhere]:
        """To wait for any log to grow."""
        growth = GrowthAnywhere()
        self._waiting_anywhere.add(growth)
        try:
            yield growth
        finally:
            self._waiting_anywhere.discard(growth)

    async def run(self) -> None:
        """Listen until cancelled. After a lost connection, whoever waits is told to look."""
        while True:
            try:
                await self._follow()
            except Exception as error:  # noqa: BLE001  (whatever it is, try again)
                log.warning("log_feed.deaf", error=type(error).__name__, retry_s=self._retry_s)
            await asyncio.sleep(self._retry_s)
            self._retry_s = min(2 * self._retry_s, MAX_RETRY_S)

    async def _follow(self) -> None:
        """Raises: psycopg.Error when the connection is lost."""
        async with await self._connect() as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._retry_s = RETRY_S
            # What is committed from here on is announced; what was before may have been missed.
            self._tell_all()
            while True:
                async for notice in connection.notifies(timeout=ASK_AFTER_S):
                    self._tell(OrganisationId(UUID(notice.payload)))
                # A dead connection is as silent as a quiet one: ask.
                await connection.execute("SELECT")

    async def _connect(self) -> "psycopg.AsyncConnection[Any]":
        return await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, **connect_args("smart-audit-audit-log-feed")
        )

    def _tell(self, organisation_id: OrganisationId) -> None:
        for growth in self._waiting.get(organisation_id, ()):
            growth.tell()
        for anywhere in self._waiting_anywhere:
            anywhere.tell(organisation_id)

    def _tell_all(self) -> None:
        for waiting in self._waiting.values():
            for growth in waiting:
                growth.tell()
        for anywhere in self._waiting_anywhere:
            anywhere.tell(None)
