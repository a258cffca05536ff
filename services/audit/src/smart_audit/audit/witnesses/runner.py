"""The background task: checkpoints are signed as logs grow, and then cosigned."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import structlog
from prometheus_client import Counter, Gauge

from smart_audit.audit.repository import Database
from smart_audit.audit.repository.checkpoints import organisations_to_checkpoint
from smart_audit.audit.use_cases.checkpoint import Checkpointing, get_checkpoint
from smart_audit.audit.witnesses.client import WitnessClient, open_http
from smart_audit.audit.witnesses.worker import Worker

log = structlog.get_logger()

CURRENT = Gauge(
    "smart_audit_checkpoint_current_timestamp_seconds",
    "When this process last saw the state of each log signed; 0 if never.",
)
FAILURES = Counter("smart_audit_checkpoint_failures", "States of logs that could not be signed.")


async def keep_checkpoints(every: timedelta, database: Database, deps: Checkpointing) -> None:
    """Sign and have cosigned, until it is cancelled.

    every: how long a log may grow before its state is signed, if nobody asks for it earlier.
    """
    witnesses = deps.policy.witnesses if deps.policy else ()
    workers: list[Worker] = []
    async with AsyncExitStack() as opened, asyncio.TaskGroup() as group:
        if witnesses:
            http = await opened.enter_async_context(open_http())
            workers = [Worker(WitnessClient(each, http), database, deps) for each in witnesses]
        for worker in workers:
            group.create_task(worker.run())
        while True:
            await _sign_grown_logs(database, deps)
            for worker in workers:
                worker.wake()
            await asyncio.sleep(every.total_seconds())


async def _sign_grown_logs(database: Database, deps: Checkpointing) -> None:
    """What fails for one log holds up no other; the next run tries it again."""
    try:
        async with database.everywhere() as connection:
            organisations = await organisations_to_checkpoint(connection)
    except Exception as error:  # noqa: BLE001  (the database is away; the calls tell it, too)
        FAILURES.inc()
        log.error("checkpoint.failed", error=type(error).__name__)
        return
    failed = False
    for organisation_id in organisations:
        try:
            await get_checkpoint(organisation_id, database, deps)
        except Exception as error:  # noqa: BLE001
            failed = True
            FAILURES.inc()
            log.error(
                "checkpoint.failed",
                organisation_id=str(organisation_id),
                error=type(error).__name__,
            )
    if not failed:
        CURRENT.set_to_current_time()
