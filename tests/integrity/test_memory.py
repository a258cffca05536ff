"""A log is not gathered: what a verification takes does not depend on how long it is."""

import tracemalloc

import psycopg
import pytest

from smart_audit.audit.integrity.database import verify_database
from smart_audit.audit.integrity.findings import Watch
from tests.integrity.copies import execute
from tests.integrity.making import SECRETS
from tests.support.events import event, record_batch, settled
from tests.support.world import running_world

BATCH = 250


async def grow(database, batches):
    async with running_world(database) as world:
        user = await world.new_user()
        await settled(world, user)
        for _ in range(batches):
            await record_batch(world, user, [event(metadata={}) for _ in range(BATCH)])


async def peak(database):
    """The most memory that a verification has taken, in bytes, and how much it found."""
    found = 0
    async with await psycopg.AsyncConnection.connect(
        database.owner_url, autocommit=True
    ) as connection:
        tracemalloc.start()
        try:
            async for _ in verify_database(connection, SECRETS, Watch()):
                found += 1
            return tracemalloc.get_traced_memory()[1], found
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("factor", [4, pytest.param(100, marks=pytest.mark.soak)])
@pytest.mark.soak
async def test_a_longer_log_takes_no_more_memory(cluster, factor):
    small, large = cluster.new_database(), cluster.new_database()
    await grow(small, 2)
    await grow(large, 2 * factor)
    for statement in (
        "SELECT 1",
        # As many findings as there are entries.
        "UPDATE audit.payloads SET outcome = 9 - outcome",
    ):
        for database in (small, large):
            execute(database, statement)
        (less, few), (more, many) = await peak(small), await peak(large)
        assert more < 1.3 * less
        assert few == many == 0 or many > (factor - 1) * few > 0
