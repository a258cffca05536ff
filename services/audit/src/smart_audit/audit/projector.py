"""The projector: beside the calls it lets what search reads follow the logs."""

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog
from prometheus_client import Gauge

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.log_feed import GrowthAnywhere, LogFeed
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.projection import organisations_to_project
from smart_audit.audit.use_cases.project import VERSION, Projecting

log = structlog.get_logger()

RETRY_S = 1.0
LOOK_EVERY_S = 10.0
TAKE_TURNS_S = 0.02
BEHIND = Gauge(
    "smart_audit_projector_logs_behind",
    "Logs that search is behind of, when this process last looked.",
)
LAST_CURRENT = Gauge(
    "smart_audit_projector_current_timestamp_seconds",
    "When this process last saw search level with all logs; 0 if never.",
)


async def keep_projecting(
    feed: LogFeed, database: Database, on_new_kinds: Callable[[OrganisationId], None]
) -> None:
    """Follow all logs until it is cancelled; what fails is tried again.

    on_new_kinds: is told of a log that has kinds of event which may need a vector.
    """
    projecting = Projecting(database, on_new_kinds)
    with feed.grown_anywhere() as growth:
        while True:
            grown = await _wait(growth)
            try:
                behind = await _behind(database) if grown is None else grown
                await _follow(behind, projecting)
            except Exception as error:  # noqa: BLE001  (whatever it is, the next turn tries again)
                log.error("projection.failed", error=type(error).__name__)
                await asyncio.sleep(RETRY_S)
                growth.tell(None)


async def project_everything(database: Database) -> None:
    """Project all logs as far as they go."""
    projecting = Projecting(database)
    while behind := await _behind(database):
        await _follow(behind, projecting)
        # What another process has locked is its to project.
        await asyncio.sleep(TAKE_TURNS_S)


async def _wait(growth: GrowthAnywhere) -> frozenset[OrganisationId] | None:
    """Which logs have grown; None when all are to be looked at."""
    try:
        async with asyncio.timeout(LOOK_EVERY_S):
            return await growth.wait()
    except TimeoutError:
        # Another process may have died over what this one has left to it.
        return None


async def _behind(database: Database) -> list[OrganisationId]:
    async with database.everywhere() as connection:
        behind = list(await organisations_to_project(connection, VERSION))
    BEHIND.set(len(behind))
    return behind


async def _follow(organisations: Iterable[OrganisationId], projecting: Projecting) -> None:
    """Go over the logs in turns, so that a long one does not keep the others waiting.

    Raises: the first failure, once the other logs have been followed.
    """
    pending = list(organisations)
    failures: list[Exception] = []
    while pending:
        further = []
        for organisation_id in pending:
            try:
                if await projecting.project(organisation_id):
                    further.append(organisation_id)
            except Exception as error:  # noqa: BLE001
                failures.append(error)
        pending = further
    if failures:
        raise failures[0]
    LAST_CURRENT.set(time.time())
