"""TailEvents: live, in order, at least once, and only as long as the caller may read."""

import asyncio
import time
from contextlib import AsyncExitStack

import grpc.aio
import pytest

from smart_audit.api.audit.v1 import tail_pb2, tail_pb2_grpc
from smart_audit.api.auth.v1 import sessions_pb2
from tests.support.events import event, record, record_batch, settled
from tests.support.logs import record_no_reads
from tests.support.tails import tailing
from tests.support.tokens import bearer, forged
from tests.support.world import read_refusal, running_world


async def new_log(world):
    user = await world.new_user()
    await settled(world, user)
    record_no_reads(world.database, user.organisation_id)
    return user


async def refused(world, user, **request):
    stub = tail_pb2_grpc.TailServiceStub(world.audit_channel)
    call = stub.TailEvents(tail_pb2.TailEventsRequest(**request), metadata=user.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call.read()
    return read_refusal(raised.value)


async def test_events_come_as_they_are_recorded_as_they_are_read_otherwise(world):
    user = await new_log(world)
    async with tailing(world, user.metadata) as stream:
        message = event()
        receipt = await record(world, user, message)
        (came,) = await stream.events(1)
    assert came.id == message.id
    assert came.log_index == receipt.proof.log_index
    assert came.actor.email == "ada@a.test"
    assert dict(came.metadata) == dict(message.metadata)


async def test_a_filter_narrows_what_comes(world):
    user = await new_log(world)
    async with tailing(world, user.metadata, filter='outcome = DENIED AND actor.id = "u_1"') as s:
        await record(world, user, event())
        denied = event(outcome=3)
        await record(world, user, denied)
        (came,) = await s.events(1)
    assert came.id == denied.id


async def test_a_stream_from_the_start_goes_over_into_the_live_one_in_order(world):
    user = await new_log(world)
    old = [event() for _ in range(270)]
    for start in range(0, 270, 90):
        await record_batch(world, user, old[start : start + 90])
    async with tailing(world, user.metadata, from_start=True) as stream:
        came = await stream.events(270)
        more = [record_batch(world, user, [event() for _ in range(20)]) for _ in range(5)]
        results = await asyncio.gather(*more)
        came += await stream.events(100)
    assert [one.id for one in came[:270]] == [one.id for one in old]
    indexes = [one.log_index for one in came]
    assert indexes == sorted(set(indexes))
    recorded = {result.receipt.proof.log_index for some in results for result in some}
    assert set(indexes[270:]) == recorded


async def test_that_somebody_follows_the_log_is_an_event(world):
    user = await world.new_user()
    async with tailing(world, user.metadata, filter='action = "audit.event.tail"') as stream:
        (came,) = await stream.events(1)
        await record(world, user, event())
    assert came.actor.id == user.id
    assert dict(came.metadata)["filter"] == 'action = "audit.event.tail"'


async def test_a_cursor_resumes_behind_its_record(world):
    user = await new_log(world)
    async with tailing(world, user.metadata) as stream:
        await record(world, user, event())
        await stream.events(1)
        cursor = stream.cursor
    missed = [event() for _ in range(3)]
    await record_batch(world, user, missed)
    async with tailing(world, user.metadata, cursor=cursor) as stream:
        came = await stream.events(3)
    assert [one.id for one in came] == [one.id for one in missed]


async def test_since_begins_with_what_was_recorded_then(world):
    user = await new_log(world)
    await record(world, user, event())
    second = await record(world, user, event())
    async with tailing(world, user.metadata, since=second.recorded_at) as stream:
        (came,) = await stream.events(1)
    assert came.log_index == second.proof.log_index


async def test_heartbeats_tell_how_far_the_log_was_looked_at(world):
    user = await new_log(world)
    async with tailing(world, user.metadata, filter="outcome = DENIED", heartbeat_seconds=1) as s:
        await record(world, user, event())
        assert (await s.record()).HasField("heartbeat")
        # What was recorded is behind one of the next two, wherever the first one fell.
        assert (await s.record()).HasField("heartbeat")
        cursor = s.cursor
    denied = event(outcome=3)
    await record(world, user, denied)
    async with tailing(world, user.metadata, cursor=cursor) as stream:
        (came,) = await stream.events(1)
    assert came.id == denied.id


async def test_a_cursor_of_another_log_is_refused(world):
    user, other = await new_log(world), await new_log(world)
    async with tailing(world, user.metadata) as stream:
        cursor = stream.cursor
    for wrong in (cursor, cursor[:-4] + "AAA=", "x", "ä", "A" * 128):
        refusal = await refused(world, other, cursor=wrong)
        assert refusal.reason == "CURSOR_INVALID"
        assert "cursor" in refusal.fields


async def test_what_is_wrong_with_a_filter_is_told_before_the_stream_begins(world):
    user = await new_log(world)
    refusal = await refused(world, user, filter="outcome = ")
    assert refusal.reason == "FILTER_INVALID"
    refusal = await refused(world, user, heartbeat_seconds=61)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_stream_ends_when_its_session_does(world):
    user = await new_log(world)
    async with tailing(world, user.metadata, heartbeat_seconds=60) as stream:
        again = await world.login(user.email)
        revoke = sessions_pb2.RevokeSessionRequest(session_id=user.session_id)
        await world.sessions.RevokeSession(revoke, metadata=again.metadata)
        end = await stream.end()
        assert end.reason == "SESSION_ENDED"
        cursor = stream.cursor
    await record(world, again, event())
    async with tailing(world, again.metadata, cursor=cursor) as stream:
        assert await stream.events(1)


async def test_a_stream_ends_when_its_token_expires(world):
    user = await new_log(world)
    token = forged(world, user, exp=int(time.time()) + 5)
    async with tailing(world, bearer(token), heartbeat_seconds=60) as stream:
        end = await stream.end()
    assert end.reason == "TOKEN_EXPIRED"


async def test_too_many_streams_are_refused_and_the_rest_go_on(cluster):
    settings = {"tails_max": 3, "tails_per_organisation_max": 2}
    async with running_world(cluster.new_database(), audit=settings) as world:
        user, other, third = [await new_log(world) for _ in range(3)]
        async with AsyncExitStack() as streams:
            first = await streams.enter_async_context(tailing(world, user.metadata))
            await streams.enter_async_context(tailing(world, user.metadata))
            refusal = await refused(world, user)
            assert refusal.reason == "TAIL_LIMIT_REACHED"
            assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            await streams.enter_async_context(tailing(world, other.metadata))
            assert (await refused(world, third)).reason == "TAIL_LIMIT_REACHED"
            await record(world, user, event())
            await first.events(1)
        async with tailing(world, user.metadata):
            pass
