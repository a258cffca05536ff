"""The large log that is searched: one organisation's, with the trail of a made-up company."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from uuid import UUID

from benchmarks.load import Call, raw_call
from benchmarks.system import System, User
from benchmarks.trail_events import Trail
from benchmarks.trail_filling import fill_with_trail
from smart_audit.api.audit.v1 import governance_pb2
from smart_audit.audit.domain import OrganisationId
from smart_audit.core.sealing import Sealer
from smart_audit.stack import vault
from smart_audit.stack.datadir import DataDir

SIZES = """
SELECT coalesce((SELECT size FROM audit.logs WHERE organisation_id = %(id)s), 0),
    coalesce((SELECT size FROM audit.projections WHERE organisation_id = %(id)s), 0)
"""
LOCK = "SELECT FROM audit.projections WHERE organisation_id = %s FOR UPDATE"
ANNOUNCE = "SELECT pg_notify('audit_appended', %s)"
LOOK_EVERY_S = 0.05
PATIENCE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many entries the log has, how many are projected, and when that was so."""

    at_s: float
    log: int
    projected: int


@dataclass(frozen=True, slots=True)
class LargeLog:
    """A log with the events of a trail."""

    system: System
    user: User
    trail: Trail

    def call(self, method: str) -> Call:
        """A method of audit, named `Service/Method`, called by the log's owner."""
        path = f"/smart_audit.api.audit.v1.{method}"
        return raw_call(self.system.audit_workers, path, self.user.access_token)

    def sizes(self) -> Sizes:
        """How far log and projection are."""
        with self.system.connect() as connection:
            row = connection.execute(SIZES, {"id": self.user.organisation_id}).fetchone()
        assert row is not None
        return Sizes(perf_counter(), *row)

    async def until_level(self) -> list[Sizes]:
        """Wait for the projection; gives what was seen meanwhile, at least once."""
        seen: list[Sizes] = []
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen.append(await asyncio.to_thread(self.sizes))
                if seen[-1].projected >= seen[-1].log:
                    return seen
                await asyncio.sleep(LOOK_EVERY_S)

    @contextmanager
    def without_projector(self) -> Iterator[None]:
        """Keep the projector from this log, as another process that projects it would."""
        with self.system.connect() as connection, connection.transaction():
            connection.execute(LOCK, [self.user.organisation_id])
            yield


@asynccontextmanager
async def large_log(system: System, count: int) -> AsyncIterator[tuple[LargeLog, list[Sizes]]]:
    """A log of so many events, and how the projection caught up with it."""
    user = await system.new_user()
    await system.settled()
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    trail = Trail(OrganisationId(UUID(user.organisation_id)), count, end)
    log = LargeLog(system, user, trail)
    await _without_reads(log)
    await log.until_level()
    with log.without_projector():
        await asyncio.to_thread(_fill, log)
    with system.connect() as connection:
        connection.execute(ANNOUNCE, [user.organisation_id])
    drained = await log.until_level()
    await asyncio.to_thread(_tidy, system)
    yield log, drained


async def _without_reads(log: LargeLog) -> None:
    """What is measured shall not append to the log itself."""
    settings = governance_pb2.LogSettings(reads=governance_pb2.READ_RECORDING_OFF)
    request = governance_pb2.UpdateLogSettingsRequest(settings=settings)
    await log.call("GovernanceService/UpdateLogSettings")(request.SerializeToString())


def _fill(log: LargeLog) -> None:
    data = DataDir(log.system.folder / "data")
    secrets = vault.load_or_create(data.secrets, data_exists=True)
    sealer = Sealer(b64decode(secrets.audit_key_encryption_key))
    with log.system.connect() as connection:
        fill_with_trail(connection, log.trail, sealer)


def _tidy(system: System) -> None:
    """What Postgres does after a while belongs to it, and not to what is measured."""
    with system.connect() as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
