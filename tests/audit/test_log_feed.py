"""Who follows a log is woken by each append, also after a break in the feed."""

import asyncio
from contextlib import asynccontextmanager
from uuid import UUID

from smart_audit.audit.log_feed import LogFeed
from smart_audit.core.rpc.server import background
from tests.support.events import event, record, settled

LIMIT_S = 20
LISTENERS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'smart-audit-audit-log-feed'
"""


@asynccontextmanager
async def listening(world):
    """A feed of a process of its own."""
    feed = LogFeed(world.database.service_url("audit"))
    async with background(feed.run):
        with feed.grown_anywhere() as anywhere:
            # At first, and once more when it has begun to listen.
            await woken(anywhere)
            await woken(anywhere)
        yield feed


async def woken(growth):
    async with asyncio.timeout(LIMIT_S):
        return await growth.wait()


async def new_log(world):
    user = await world.new_user()
    await settled(world, user)
    return user, UUID(user.organisation_id)


async def test_an_append_wakes_all_processes_that_follow_the_log_and_nobody_else(world):
    ada, log = await new_log(world)
    bob, other_log = await new_log(world)
    async with listening(world) as one, listening(world) as another:
        with one.grown(log) as here, another.grown(log) as there, one.grown(other_log) as other:
            for growth in (here, there, other):
                await woken(growth)
            await record(world, ada, event())
            await woken(here)
            await woken(there)
            other_wait = asyncio.create_task(other.wait())
            await asyncio.sleep(0)
            assert not other_wait.done()
            await record(world, bob, event())
            async with asyncio.timeout(LIMIT_S):
                await other_wait


async def test_what_is_appended_between_two_waits_ends_the_second(world):
    user, log = await new_log(world)
    async with listening(world) as feed:
        with feed.grown(log) as growth, feed.grown_anywhere() as anywhere:
            await woken(growth)
            assert await woken(anywhere) is None
            await record(world, user, event())
            assert log in await woken(anywhere)
            await woken(growth)


async def test_after_a_lost_connection_everybody_is_woken(world):
    _, log = await new_log(world)
    async with listening(world) as feed:
        with feed.grown(log) as growth, feed.grown_anywhere() as anywhere:
            await woken(growth)
            assert await woken(anywhere) is None
            world.database.execute(
                f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS listeners"
            )
            await woken(growth)
            assert await woken(anywhere) is None
