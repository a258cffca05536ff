"""Whoever does not read a stream loses it, and nothing of the log; memory does not grow."""

import asyncio

import grpc.aio
import pytest

from smart_audit.audit.tail.tails import OPEN
from tests.support.events import event, record_batch, settled
from tests.support.tails import tailing
from tests.support.world import read_refusal, running_world

PATIENCE_S = 1
BIG = {"text": "x" * 200_000}
EVENTS = 40
LIMIT_S = 60


@pytest.fixture(scope="module")
async def hasty(cluster):
    """Services that lose patience soon."""
    settings = {"tail_patience": f"PT{PATIENCE_S}S"}
    async with running_world(cluster.new_database(), audit=settings) as world:
        yield world


@pytest.fixture
async def user(hasty):
    """Somebody whose log has more than what lies between a service and a client."""
    user = await hasty.signed_up()
    await settled(hasty, user)
    for _ in range(EVENTS // 10):
        results = await record_batch(hasty, user, [event(metadata=BIG) for _ in range(10)])
        assert all(result.HasField("receipt") for result in results), results[0].refusal
    return user


async def read_on(stream, seen):
    """All events up to the end of the stream; gives whether one was told."""
    while len(seen) < EVENTS:
        record = await stream.record()
        seen += [one.log_index for one in record.events.events]
        if record.HasField("end"):
            assert record.end.reason == "READER_TOO_SLOW"
            return True
    return False


async def resumed(world, user, stream, seen):
    async with tailing(world, user.metadata, cursor=stream.cursor) as again:
        while len(seen) < EVENTS:
            seen += [one.log_index for one in await again.events(1)]
    assert seen == list(range(2, EVENTS + 2))


async def test_a_reader_that_pauses_is_told_and_resumes_by_the_cursor(hasty, user):
    pause_s = 2.0 * PATIENCE_S
    while True:
        seen = []
        async with tailing(hasty, user.metadata, from_start=True) as stream:
            await asyncio.sleep(pause_s)
            if await read_on(stream, seen):
                break
        # The machine was too slow for a pipe to fill in that time.
        pause_s *= 1.5
    assert len(seen) < EVENTS
    await resumed(hasty, user, stream, seen)


async def test_a_reader_that_has_stopped_is_cut_off(hasty, user):
    before = OPEN._value.get()
    seen = []
    async with tailing(hasty, user.metadata, from_start=True) as stream:
        async with asyncio.timeout(LIMIT_S):
            while OPEN._value.get() == before:
                await asyncio.sleep(0.01)
            while OPEN._value.get() > before:
                await asyncio.sleep(0.1)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await read_on(stream, seen)
    assert read_refusal(raised.value).reason == "READER_TOO_SLOW"
    assert len(seen) < EVENTS
    await resumed(hasty, user, stream, seen)
