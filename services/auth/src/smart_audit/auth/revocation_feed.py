"""The revocation feed: what has been revoked, to this process and to all that watch it.

Postgres announces each revocation to every process of auth as it is committed; each hands it on to
its watchers. After a break all is read anew, so that nothing is missed.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import psycopg
import structlog
from prometheus_client import Gauge

from smart_audit.auth.repository import Work
from smart_audit.auth.repository.revocations import CHANNEL, read_notice
from smart_audit.core.database import connect_args
from smart_audit.core.errors import ResourceExhausted, Unavailable
from smart_audit.core.ids import utc_now
from smart_audit.core.revocations import Revocation, Revocations

Queue: TypeAlias = asyncio.Queue[list[Revocation] | None]

log = structlog.get_logger()

HEARTBEAT_S = 1.0
RETRY_S = 0.2
MAX_WATCHERS = 200
MAX_BEHIND = 1_000


WATCHERS = Gauge(
    "smart_audit_revocation_watchers", "Processes that follow the revocations of this one."
)


class RevocationFeed:
    """Runs beside the server until it is cancelled."""

    def __init__(self, url: str, work: Work, revocations: Revocations) -> None:
        self._url = url
        self._work = work
        self._revocations = revocations
        self._watchers: set[Queue] = set()
        self._heard = asyncio.Event()
        WATCHERS.set_function(lambda: len(self._watchers))
        self._ended = False

    async def run(self) -> None:
        """Listen until cancelled; after a lost connection read all anew. Then end all watches."""
        try:
            while True:
                try:
                    await self._follow()
                except Exception as error:  # noqa: BLE001  (whatever it is, try again)
                    log.warning("revocations.deaf", error=type(error).__name__, retry_s=RETRY_S)
                    await asyncio.sleep(RETRY_S)
        finally:
            # A server that stops waits for its calls, and these would never end by themselves.
            self._ended = True
            for queue in list(self._watchers):
                self._end(queue)

    async def _follow(self) -> None:
        async with await self._connect() as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            # What is committed from here on is announced; what was before is read.
            await self._read_all()
            await self._listen(connection)

    async def watch(self) -> AsyncIterator[list[Revocation]]:
        """All revocations that matter, then the new ones; empty ones are signs of life.

        While the database is away there is no sign of life.
        Raises: ResourceExhausted; Unavailable in a process that stops.
        """
        if self._ended:
            raise Unavailable("this process stops; another one knows")
        if len(self._watchers) >= MAX_WATCHERS:
            raise ResourceExhausted("too many watch the revocations; retry in a moment")
        queue: Queue = asyncio.Queue(MAX_BEHIND)
        await self._heard.wait()
        self._watchers.add(queue)
        try:
            yield self._revocations.known()
            while (revocations := await queue.get()) is not None:
                yield revocations
        finally:
            self._watchers.discard(queue)

    async def _connect(self) -> "psycopg.AsyncConnection[Any]":
        return await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, **connect_args("smart-audit-auth-revocations")
        )

    async def _read_all(self) -> None:
        async with self._work.everywhere() as repositories:
            self._tell(await repositories.revocations.all(utc_now()))
        self._heard.set()

    async def _listen(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        while True:
            told = False
            async for notice in connection.notifies(timeout=HEARTBEAT_S, stop_after=1):
                self._tell([read_notice(notice.payload)])
                told = True
            if not told:
                # A dead connection gives no notices either: ask, before this counts as life.
                await connection.execute("SELECT")
                self._tell([])

    def _tell(self, revocations: list[Revocation]) -> None:
        self._revocations.hear(revocations)
        for queue in list(self._watchers):
            try:
                queue.put_nowait(revocations)
            except asyncio.QueueFull:
                # It has to call again; waiting for it would grow memory.
                self._end(queue)

    def _end(self, queue: Queue) -> None:
        self._watchers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)
