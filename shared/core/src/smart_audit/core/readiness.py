"""Whether the database is there: without it a service lives, and can do nothing."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, Protocol

import psycopg
import structlog
from prometheus_client import Gauge

from smart_audit.core.database import connect_args

log = structlog.get_logger()

ASK_EVERY_S = 1.0
ANSWER_WITHIN_S = 3.0
READY = Gauge("smart_audit_ready", "1 while the process can be given work, 0 without its database.")
ANSWERED = Gauge(
    "smart_audit_database_answer_seconds", "How long the database took for the least question."
)


class Report(Protocol):
    """Tells whether the process can be given work."""

    def __call__(self, *, ready: bool) -> Awaitable[None]:
        """Tell it; again and again is the same as once."""


class Readiness:
    """Asks the database each second, until it is cancelled, and reports what it finds.

    By a connection of its own: under load those of the pools may all be in use, and a service that
    is busy must not be taken for one that has lost its database.
    """

    def __init__(self, url: str, application: str, report: Report) -> None:
        self._url = url
        self._application = application
        self._report = report
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._ready = True

    async def run(self) -> None:
        """Ask again and again."""
        READY.set(1)
        try:
            while True:
                # A cut connection is no database that is gone: ask once more, by a new one.
                ready = await self._answers() or await self._answers()
                if ready != self._ready:
                    self._ready = ready
                    log.info("database.back") if ready else log.error("database.away")
                READY.set(ready)
                await self._report(ready=ready)
                await asyncio.sleep(ASK_EVERY_S)
        finally:
            READY.set(0)
            if self._connection is not None:
                await self._connection.close()

    async def _answers(self) -> bool:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if self._connection is None:
                    self._connection = await psycopg.AsyncConnection.connect(
                        self._url, autocommit=True, **connect_args(self._application)
                    )
                    started = time.perf_counter()
                await self._connection.execute("SELECT")
        except (TimeoutError, psycopg.Error):
            await self._drop()
            return False
        ANSWERED.set(time.perf_counter() - started)
        return True

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
