"""A stream is cut in every way there is; its reader resumes, and the log comes complete."""

import asyncio
from contextlib import suppress

import grpc.aio
import pytest

from smart_audit.api.audit.v1 import tail_pb2, tail_pb2_grpc
from tests.faults.test_killed_services import channel_to, persistently, world_of
from tests.support.events import event, record, settled
from tests.support.processes import running_processes
from tests.support.tails import OURS, tailing

LISTENERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'smart-audit-audit-log-feed'
"""
LIMIT_S = 60


async def follow(world, user, count, reasons):
    """The places of so many events, by as many streams as it takes; gives how many it took."""
    seen, cursor, streams = [], "", 0
    stub = tail_pb2_grpc.TailServiceStub(world.audit_channel)
    while len(set(seen)) < count:
        streams += 1
        start = {"cursor": cursor} if cursor else {"from_start": True}
        request = tail_pb2.TailEventsRequest(filter=OURS, **start)
        call = stub.TailEvents(request, metadata=user.metadata)
        with suppress(grpc.aio.AioRpcError):
            async for answer in call:
                cursor = answer.cursor
                seen += [one.log_index for one in answer.events.events]
                if answer.HasField("end"):
                    reasons.append(answer.end.reason)
                if len(set(seen)) >= count:
                    call.cancel()
                    break
        await asyncio.sleep(0.05)
    return seen, streams


@pytest.mark.soak
async def test_kills_and_stops_of_audit_lose_nothing_of_a_stream(cluster, tmp_path):
    async with (
        running_processes(database := cluster.new_database(), tmp_path) as (auth, (audit,)),
        channel_to(auth.port) as auth_channel,
        channel_to(audit.port) as audit_channel,
    ):
        world = world_of(database, auth, audit, auth_channel, audit_channel)
        user = await world.new_user()
        await settled(world, user)
        reasons = []
        reader = asyncio.create_task(follow(world, user, 60 * 5, reasons))
        for end in (audit.kill, audit.stop, audit.kill):
            sends = [persistently(world, user, [event() for _ in range(5)]) for _ in range(20)]
            sending = asyncio.gather(*sends)
            await asyncio.sleep(0.1)
            await end()
            await audit.start()
            await sending
        async with asyncio.timeout(LIMIT_S):
            seen, streams = await reader
    assert seen == sorted(set(seen))
    assert len(seen) == 300
    assert streams >= 4
    assert set(reasons) <= {"SERVICE_STOPPING"}


async def test_a_stream_outlives_the_connection_that_listens(world):
    user = await world.new_user()
    await settled(world, user)
    async with tailing(world, user.metadata) as stream:
        for _ in range(5):
            await asyncio.to_thread(world.database.execute, LISTENERS)
            message = event()
            await record(world, user, message)
            (came,) = await stream.events(1)
            assert came.id == message.id


@pytest.mark.soak
async def test_five_hundred_streams_share_what_is_read(cluster, tmp_path):
    async with (
        running_processes(database := cluster.new_database(), tmp_path) as (auth, (audit,)),
        channel_to(auth.port) as auth_channel,
        channel_to(audit.port) as audit_channel,
    ):
        world = world_of(database, auth, audit, auth_channel, audit_channel)
        user = await world.new_user()
        await settled(world, user)
        readers = [asyncio.create_task(follow(world, user, 100, [])) for _ in range(500)]
        for _ in range(20):
            await persistently(world, user, [event() for _ in range(5)])
        async with asyncio.timeout(10 * LIMIT_S):
            for seen, _ in await asyncio.gather(*readers):
                assert seen == sorted(set(seen))
