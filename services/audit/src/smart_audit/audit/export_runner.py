"""The export runner: beside the calls it writes what was ordered, one export at a time.

An export is leased by one process, which renews the lease with each chunk that it keeps. When the
process dies, another one goes on behind the last chunk.
"""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

import structlog
from prometheus_client import Counter, Gauge

from smart_audit.audit.domain import KIB
from smart_audit.audit.export_sealing import ChunkSeal
from smart_audit.audit.exports import Claimed, Mark, Progress, Span
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.exports import (
    ExportStore,
    LeaseLost,
    check_bytes,
    claim_export,
    exports_of,
    sweep_exports,
)
from smart_audit.audit.use_cases.begin_export import checkpoint_of
from smart_audit.audit.use_cases.order_exports import Exporting, read_file
from smart_audit.audit.use_cases.write_export import Writing
from smart_audit.core.errors import DomainError, Unavailable

log = structlog.get_logger()

CHUNK_BYTES = 512 * KIB
SWEPT_AT_ONCE = 200
FORGOTTEN_AFTER = timedelta(days=30)
MOST_ATTEMPTS = 5
KEPT_EVERY_S = 5.0
# For as long as a page took, the calls have the process to themselves.
REST = 1.0
LONGEST_REST_S = 0.25

RUNNING = Gauge("smart_audit_export_jobs_running", "Exports that this process writes now.")
ENDED = Counter(
    "smart_audit_export_jobs",
    "Exports of this process by their end: written, failed for good, or left to be tried again.",
    ["end"],
)
for _end in ("written", "failed", "left"):
    ENDED.labels(_end)


@dataclass(slots=True)
class ExportRunner:
    """Writes exports until it is cancelled.

    every: how often it looks for what other processes have ordered or left behind.
    lease_for: how long an export is left alone when the process that writes it falls silent.
    """

    database: Database
    deps: Exporting
    every: timedelta
    lease_for: timedelta
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Run until it is cancelled; what fails is tried again."""
        while True:
            self.woken.clear()
            try:
                while await self._sweep() or await self._write_next():
                    pass
            except Exception as error:  # noqa: BLE001  (whatever it is, the next round tries again)
                log.error("exports.failed", error=type(error).__name__)
            try:
                async with asyncio.timeout(self.every.total_seconds()):
                    await self.woken.wait()
            except TimeoutError:
                pass

    async def _sweep(self) -> bool:
        async with self.database.everywhere() as connection:
            return await sweep_exports(connection, SWEPT_AT_ONCE, FORGOTTEN_AFTER)

    async def _write_next(self) -> bool:
        """Write an export, if one waits; gives whether one did."""
        lease = uuid4()
        async with self.database.everywhere() as connection:
            found = await claim_export(connection, lease, self.lease_for)
        if found is None:
            return False
        organisation_id, export_id = found
        try:
            async with exports_of(organisation_id, self.database, self.deps.sealing) as store:
                claimed = await store.claimed(export_id, lease)
            with RUNNING.track_inprogress():
                await self._write(claimed)
        except LeaseLost:
            log.info("export.lease_lost", export_id=str(export_id))
        return True

    async def _write(self, claimed: Claimed) -> None:
        """Raises: LeaseLost."""
        try:
            if claimed.attempts > MOST_ATTEMPTS:
                await self._fail(claimed, "INTERNAL", "it was begun too often, and never ended")
            else:
                await _Run(self, claimed).write()
        except (LeaseLost, Unavailable):
            raise
        except DomainError as error:
            await self._fail(claimed, error.reason, error.message)
        except asyncio.CancelledError:
            # The service stops: another process need not wait for the lease to end.
            await self._let_go(claimed, timedelta(0))
            raise
        except Exception as error:
            await self._let_go(claimed, self.every * claimed.attempts)
            log.exception("export.broke_off", export_id=str(claimed.export.id), exc_info=error)

    async def _fail(self, claimed: Claimed, reason: str, message: str) -> None:
        async with self._store(claimed) as store:
            await store.fail(claimed, reason, message)
        ENDED.labels("failed").inc()
        log.warning("export.failed", export_id=str(claimed.export.id), reason=reason)

    async def _let_go(self, claimed: Claimed, retry_after: timedelta) -> None:
        async with self._store(claimed) as store:
            await store.let_go(claimed, retry_after)
        ENDED.labels("left").inc()

    def _store(self, claimed: Claimed) -> AbstractAsyncContextManager[ExportStore]:
        return exports_of(claimed.organisation_id, self.database, self.deps.sealing)


class _Run:
    """One process's work on one export."""

    def __init__(self, runner: ExportRunner, claimed: Claimed) -> None:
        self._runner = runner
        self._database = runner.database
        self._deps = runner.deps
        self._claimed = claimed
        self._kept = claimed.progress
        self._buffer = bytearray()
        self._kept_at = time.monotonic()

    async def write(self) -> None:
        """Write the file to its end. Raises: LeaseLost, and what reading raises."""
        writing = await self._writing()
        seal = await self._go_on(writing)
        self._buffer += writing.begin()
        started = time.perf_counter()
        async for piece in writing.pages(self._database):
            self._buffer += piece
            if len(self._buffer) >= CHUNK_BYTES or self._is_due():
                await self._keep(writing, seal)
            took = time.perf_counter() - started
            await asyncio.sleep(min(took * REST, LONGEST_REST_S))
            started = time.perf_counter()
        self._buffer += writing.end()
        await self._keep(writing, seal, last=True)
        ENDED.labels("written").inc()
        log.info("export.written", export_id=str(self._claimed.export.id), events=writing.events)

    async def _writing(self) -> Writing:
        organisation_id, export = self._claimed.organisation_id, self._claimed.export
        checkpoint = None
        if export.spec.proofs:
            checkpoint = await checkpoint_of(export.log_size, organisation_id, self._database)
        span = Span(0, export.log_size)
        return Writing(organisation_id, export.spec, span, Mark(0), checkpoint)

    async def _go_on(self, writing: Writing) -> ChunkSeal:
        """Take up what was written before, if its format can be cut; what is sealed with."""
        claimed, sealing = self._claimed, self._deps.sealing
        ids = claimed.organisation_id, claimed.export.id
        if claimed.key is not None and writing.format.cuttable and self._kept.size:
            writing.fresh = False
            writing.mark, writing.events = self._kept.mark, self._kept.events
            file = replace(claimed.export, size=self._kept.size)
            async for chunk in read_file(ids[0], file, 0, self._database, self._deps):
                writing.hashed.update(chunk)
                await asyncio.sleep(0)
            return sealing.open_key(*ids, claimed.key)
        wrapped, seal = sealing.new_key(*ids)
        async with exports_of(ids[0], self._database, sealing) as store:
            await store.begin_anew(claimed, wrapped)
        self._kept = Progress(Mark(0), 0, 0)
        return seal

    def _is_due(self) -> bool:
        return time.monotonic() - self._kept_at > KEPT_EVERY_S

    async def _keep(self, writing: Writing, seal: ChunkSeal, *, last: bool = False) -> None:
        """Keep what is in the buffer, and with it how far the export has come."""
        claimed, deps = self._claimed, self._deps
        chunks = []
        place = self._kept.size
        for first in range(0, len(self._buffer), CHUNK_BYTES):
            chunk = bytes(self._buffer[first : first + CHUNK_BYTES])
            chunks.append((place, len(chunk), seal.seal(place, chunk)))
            place += len(chunk)
        progress = Progress(writing.mark, writing.events, place)
        async with exports_of(claimed.organisation_id, self._database, deps.sealing) as store:
            await store.keep(claimed, chunks, progress, self._runner.lease_for)
            check_bytes(await store.total_bytes(), deps.limits.total_bytes)
            if last:
                await store.succeed(claimed, writing.hashed.digest(), deps.limits.kept_for)
        self._buffer.clear()
        self._kept, self._kept_at = progress, time.monotonic()
