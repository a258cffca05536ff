"""Wait for the projection, so that a reader finds what was recorded before it asked."""

import asyncio
from datetime import timedelta

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.repository import Database

PATIENCE = timedelta(seconds=2)
FIRST_LOOK_S = 0.002
LONGEST_PAUSE_S = 0.05


async def projected(
    organisation_id: OrganisationId, database: Database, patience: timedelta = PATIENCE
) -> int:
    """How many entries of the log are projected: all that it has now, unless patience ends.

    The projection may lie in the hands of another process, so that this looks again and again; as
    a rule once is enough.
    """
    deadline = asyncio.get_running_loop().time() + patience.total_seconds()
    pause = FIRST_LOOK_S
    async with database.projecting(organisation_id) as store:
        wanted, size, *_ = await store.level()
    while size < wanted and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
        async with database.projecting(organisation_id) as store:
            size = (await store.level()).projected
    return size
