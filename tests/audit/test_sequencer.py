"""Group commit: what waits is gathered, failures reach those whom they concern, room is bounded."""

import asyncio
from dataclasses import dataclass
from uuid import uuid4

import pytest

from smart_audit.audit.sequencer import Sequencer
from smart_audit.core.errors import ResourceExhausted

ORGANISATION = uuid4()


@dataclass(frozen=True)
class FakeAppended:
    indexes: list[int]


class Log:
    """Stands in for the database where the point is the batching: it can be held up and fail."""

    def __init__(self):
        self.batches = []
        self.open = asyncio.Event()
        self.open.set()
        self.failure = None

    async def append(self, _organisation_id, entries):
        await self.open.wait()
        if self.failure:
            raise self.failure
        start = sum(map(len, self.batches))
        self.batches.append(list(entries))
        return FakeAppended(list(range(start, start + len(entries))))


class Name(str):
    """An entry of one byte."""

    size = 1


class Heavy(str):
    """An entry of many bytes."""

    size = 60


def sequencer(log, batch_size=10, batch_bytes=100, queue_bytes=1000):
    return Sequencer(
        log.append, batch_size=batch_size, batch_bytes=batch_bytes, queue_bytes=queue_bytes
    )


def names(text):
    return [Name(letter) for letter in text]


async def test_a_batch_ends_before_it_is_too_heavy():
    log = Log()
    log.open.clear()
    gathering = sequencer(log)
    waiting = []
    for name in "abcd":
        waiting.append(asyncio.create_task(gathering.submit(ORGANISATION, [Heavy(name)])))
        await asyncio.sleep(0.01)
    log.open.set()
    await asyncio.gather(*waiting)
    assert [len(batch) for batch in log.batches] == [1, 1, 1, 1]


async def test_a_lone_event_is_committed_at_once():
    log = Log()
    slot = await sequencer(log).submit(ORGANISATION, [Name("a")])
    assert (log.batches, slot.index(0)) == ([["a"]], 0)


async def test_what_arrives_during_a_commit_becomes_the_next_batch():
    log = Log()
    log.open.clear()
    gathering = sequencer(log)
    submissions = []
    for name in "abcdefg":
        submissions.append(
            asyncio.create_task(gathering.submit(ORGANISATION, [Name(name), Name(name)]))
        )
        await asyncio.sleep(0.01)
    log.open.set()
    slots = await asyncio.gather(*submissions)
    assert [len(batch) for batch in log.batches] == [2, 10, 2]
    assert [slot.index(1) for slot in slots] == [1, 3, 5, 7, 9, 11, 13]


async def test_organisations_do_not_wait_for_each_other():
    log = Log()
    log.open.clear()
    gathering = sequencer(log)
    blocked = asyncio.create_task(gathering.submit(ORGANISATION, [Name("a")]))
    await asyncio.sleep(0)
    log.open.set()
    await gathering.submit(uuid4(), [Name("b")])
    await blocked
    assert sorted(map(tuple, log.batches)) == [("a",), ("b",)]


async def test_a_failed_commit_fails_its_callers_and_not_the_next():
    log = Log()
    gathering = sequencer(log)
    log.failure = ConnectionError("gone")
    results = await asyncio.gather(
        *(gathering.submit(ORGANISATION, [Name(n)]) for n in range(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [ConnectionError] * 3
    log.failure = None
    assert await gathering.submit(ORGANISATION, [Name("after")])


async def test_a_caller_that_leaves_takes_nothing_with_it():
    log = Log()
    log.open.clear()
    gathering = sequencer(log)
    leaving = asyncio.create_task(gathering.submit(ORGANISATION, [Name("left")]))
    await asyncio.sleep(0)
    staying = asyncio.create_task(gathering.submit(ORGANISATION, [Name("stayed")]))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    log.open.set()
    await staying
    assert [name for batch in log.batches for name in batch] == ["left", "stayed"]


async def test_calls_that_are_on_their_way_join_the_first_batch():
    log = Log()
    gathering = sequencer(log)

    async def arrive(turns, name):
        for _ in range(turns):
            await asyncio.sleep(0)
        return await gathering.submit(ORGANISATION, [Name(name)])

    await asyncio.gather(*(arrive(turns, str(turns)) for turns in range(8)))
    assert log.batches == [[str(turns) for turns in range(8)]]


async def test_too_much_waiting_is_refused_and_the_room_comes_back():
    log = Log()
    log.open.clear()
    gathering = sequencer(log, queue_bytes=4)
    waiting = asyncio.create_task(gathering.submit(ORGANISATION, names("abc")))
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted):
        await gathering.submit(ORGANISATION, names("de"))
    log.open.set()
    await waiting
    for _ in range(3):
        await gathering.submit(ORGANISATION, names("wxyz"))
