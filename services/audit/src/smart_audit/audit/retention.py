"""The retention runner: beside the calls it removes what the logs need not keep any longer."""

import asyncio
from datetime import timedelta

import structlog

from smart_audit.audit.repository import Database
from smart_audit.audit.repository.governance import (
    drop_empty_partitions,
    organisations_with_retention,
)
from smart_audit.audit.use_cases.own_events import Governing
from smart_audit.audit.use_cases.retain import expire_content

log = structlog.get_logger()


async def keep_retention(every: timedelta, database: Database, deps: Governing) -> None:
    """Run at once and then again and again, until it is cancelled."""
    while True:
        try:
            await run_retention(database, deps)
        except Exception as error:  # noqa: BLE001  (whatever it is, the next run tries again)
            log.error("retention.failed", error=type(error).__name__)
        await asyncio.sleep(every.total_seconds())


async def run_retention(database: Database, deps: Governing) -> None:
    """Remove what has expired in all logs, then the partitions that this has emptied.

    What fails for one log holds up no other; the next run tries it again.
    """
    async with database.everywhere() as connection:
        organisations = await organisations_with_retention(connection)
    for organisation_id in organisations:
        try:
            removed = await expire_content(organisation_id, database, deps)
        except Exception as error:  # noqa: BLE001
            log.error(
                "retention.failed",
                organisation_id=str(organisation_id),
                error=type(error).__name__,
            )
        else:
            if removed:
                log.info("retention.removed", organisation_id=str(organisation_id), events=removed)
    async with database.everywhere() as connection:
        dropped = await drop_empty_partitions(connection, deps.now())
    if dropped:
        log.info("retention.partitions_dropped", partitions=dropped)
