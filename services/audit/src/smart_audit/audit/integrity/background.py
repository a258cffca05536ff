"""The verification beside the calls: gently, log by log, and in one process at a time."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.integrity.checkpoints import check_keys
from smart_audit.audit.integrity.findings import Finding, Watch
from smart_audit.audit.integrity.kept import KeptCheckpoint
from smart_audit.audit.integrity.log import verify_log
from smart_audit.audit.integrity.metrics import ENTRIES, FINDINGS, LAST_RUN
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.repository import Database
from smart_audit.audit.use_cases.own_events import Governing
from smart_audit.audit.use_cases.report_damage import report_damage
from smart_audit.core.database import connect_args

log = structlog.get_logger()

FIRST_AFTER = timedelta(hours=1)
"""A service that is started again and again must not verify all the time."""

LOCK_ID = 0x5341_0004
TELL_AT_MOST = 20
"""Findings of one log that are told one by one in a run; the metric counts all."""

# The lock is that of a transaction, which a pooler keeps on one connection. It does nothing else,
# so that it holds back no vacuum.
LOCK = """
SELECT set_config('idle_in_transaction_session_timeout', '0', true),
    pg_try_advisory_xact_lock(%s)
"""

ORGANISATIONS = "SELECT audit.organisations()"


class Pace:
    """Lets so many rows a second pass."""

    def __init__(self, rows_per_second: int) -> None:
        self._seconds = 1 / rows_per_second
        self._due = time.monotonic()

    async def rows(self, count: int) -> None:
        """Wait until so many more rows may have been read."""
        now = time.monotonic()
        # What was not used up is not made up for later.
        self._due = max(self._due, now) + count * self._seconds
        await asyncio.sleep(self._due - now)


class Verification:
    """Verifies all logs with the rights of the service, and tells of what it finds.

    url: of the service's own role. rate: rows per second at most.

    It remembers the logs that it found right, so that it sees one that is rolled back meanwhile.
    """

    def __init__(
        self, url: str, rate: int, secrets: Secrets, database: Database, deps: Governing
    ) -> None:
        self._url = url
        self._rate = rate
        self._secrets = secrets
        self._database = database
        self._deps = deps
        self._kept: dict[UUID, KeptCheckpoint] = {}

    async def keep_on(self, every: timedelta) -> None:
        """Run again and again, until it is cancelled; never if `every` is 0."""
        if not every:
            return
        await asyncio.sleep(min(every, FIRST_AFTER).total_seconds())
        while True:
            try:
                await self.run()
            except Exception as error:  # noqa: BLE001  (whatever it is, the next run tries again)
                log.error("integrity.failed", error=type(error).__name__)
            await asyncio.sleep(every.total_seconds())

    async def run(self) -> None:
        """Verify everything once; nothing if another process is at it."""
        async with self._connected() as locking, locking.transaction():
            cursor = await locking.execute(LOCK, [LOCK_ID])
            _, alone = await cursor.fetchone() or ("", False)
            if alone:
                async with self._connected() as connection:
                    await self._verify(connection)
                LAST_RUN.set_to_current_time()

    async def _verify(self, connection: AsyncConnection[Any]) -> None:
        watch = Watch(entries=ENTRIES.inc, verified=self._remember, rows=Pace(self._rate).rows)
        shared = await check_keys(connection, self._secrets)
        cursor = await connection.execute(ORGANISATIONS)
        organisations = [organisation_id for (organisation_id,) in await cursor.fetchall()]
        shared += [
            Finding("logs", gone, "", "rolled back: the whole log is gone")
            for gone in self._kept.keys() - set(organisations)
        ]
        FINDINGS.inc(len(shared))
        self._tell(shared)
        for organisation_id in organisations:
            kept = self._kept.get(organisation_id)
            first: list[Finding] = []
            found = verify_log(connection, organisation_id, self._secrets, watch, kept)
            async for finding in found:
                FINDINGS.inc()
                if len(first) < TELL_AT_MOST:
                    first.append(finding)
            await self._report(OrganisationId(organisation_id), first)

    async def _report(self, organisation_id: OrganisationId, found: list[Finding]) -> None:
        """Tell of findings in the service's own log, and in the log of the organisation."""
        self._tell(found)
        # Whoever appends to a log whose head was changed would only bury the damage.
        if any(finding.table == "logs" for finding in found):
            return
        for finding in found:
            await report_damage(
                organisation_id, finding.table, finding.place, self._database, self._deps
            )

    def _tell(self, found: list[Finding]) -> None:
        for finding in found:
            log.error(
                "integrity.damaged",
                organisation_id=str(finding.organisation_id or ""),
                table=finding.table,
                place=finding.place,
                problem=finding.problem,
            )

    def _remember(self, kept: KeptCheckpoint) -> None:
        self._kept[kept.organisation_id] = kept

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection of its own: those of the pools are for calls."""
        async with await AsyncConnection.connect(
            self._url, autocommit=True, **connect_args("smart-audit-audit-verify")
        ) as connection:
            yield connection
