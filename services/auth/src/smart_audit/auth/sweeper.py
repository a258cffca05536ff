"""The sweeper: removes what has expired, a little at a time, beside the calls."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime

import structlog

from smart_audit.auth.repository import Work
from smart_audit.auth.repository.expired import KEPT

log = structlog.get_logger()

EVERY_S = 600
BATCH = 1_000
# Between two batches the database belongs to the calls.
PAUSE_S = 0.05


class Sweeper:
    """Runs beside the server until it is cancelled. Every replica has one."""

    def __init__(self, work: Work, now: Callable[[], datetime]) -> None:
        self._work = work
        self._now = now

    async def run(self) -> None:
        """Sweep every ten minutes; replicas that start together do not sweep together."""
        await asyncio.sleep(random.uniform(0, EVERY_S))  # noqa: S311
        while True:
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001  (whatever it is, the next sweep tries again)
                log.warning("sweeper.failed", error=type(error).__name__)
            await asyncio.sleep(EVERY_S)

    async def sweep(self, batch: int = BATCH) -> dict[str, int]:
        """Remove all that has expired, in transactions of so many rows; gives rows by table."""
        removed = {table: await self._sweep(table, batch) for table in KEPT}
        if any(removed.values()):
            log.info("sweeper.removed", **removed)
        return removed

    async def _sweep(self, table: str, batch: int) -> int:
        removed = 0
        while True:
            async with self._work.everywhere() as repositories:
                count = await repositories.expired.remove(table, self._now(), batch)
            removed += count
            if count < batch:
                return removed
            await asyncio.sleep(PAUSE_S)
