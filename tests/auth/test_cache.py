"""The cache door: both caches obey one suite, and none is passed by while it is away."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from smart_audit.auth.cache import Pace, Turn
from smart_audit.auth.cache.postgres import PostgresCache
from smart_audit.auth.cache.redis import open_redis
from smart_audit.core.database import open_engine
from smart_audit.core.errors import Unavailable
from tests.support.redis import running_redis

MOMENT = timedelta(milliseconds=100)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

PACE = Pace(free=3, first=MINUTE, longest=3 * MINUTE, kept=HOUR, limit=7)
NO_WAIT = Pace(free=1, first=timedelta(0), longest=timedelta(0), kept=HOUR)


@pytest.fixture(scope="module")
async def postgres_cache(cluster):
    database = cluster.new_database()
    url = database.service_url("auth")
    async with open_engine(url, pool_size=8, application="test") as engine:
        yield PostgresCache(engine)


@pytest.fixture(scope="module")
async def redis_cache():
    with running_redis() as url:
        async with open_redis(url) as cache:
            yield cache


@pytest.fixture(params=["postgres", "redis"])
def cache(request):
    return request.getfixturevalue(f"{request.param}_cache")


def key():
    return uuid4().hex


async def hit(cache, name, pace=PACE, unless=""):
    """Try once: the seconds to wait, or None if the try was counted."""
    wait = await cache.take([Turn(name, pace, unless)])
    if wait is None:
        return None
    assert wait.key == name
    return wait.time.total_seconds()


async def test_an_entry_is_what_was_set_last(cache):
    name = key()
    assert await cache.get(name) is None
    await cache.set(name, b"one", MINUTE)
    await cache.set(name, b"\x00two\xff", MINUTE)
    assert await cache.get(name) == b"\x00two\xff"
    assert await cache.get(key()) is None


async def test_an_expired_entry_is_not_returned_and_may_be_added_anew(cache):
    name = key()
    assert await cache.add(name, b"one", MOMENT)
    await asyncio.sleep(2 * MOMENT.total_seconds())
    assert await cache.get(name) is None
    assert await cache.add(name, b"three", MINUTE)
    assert await cache.get(name) == b"three"


async def test_what_is_there_is_not_added_anew(cache):
    name = key()
    assert await cache.add(name, b"one", MINUTE)
    assert not await cache.add(name, b"two", MINUTE)
    assert await cache.get(name) == b"one"


async def test_of_many_who_add_at_once_one_wins(cache):
    name = key()
    won = await asyncio.gather(*(cache.add(name, b"", MINUTE) for _ in range(16)))
    assert won.count(True) == 1


async def test_entries_and_counts_can_be_deleted(cache):
    name, count = key(), key()
    await cache.set(name, b"one", MINUTE)
    for _ in range(3):
        await hit(cache, count)
    assert await hit(cache, count) > 0
    await cache.delete([name, count, key()])
    assert await cache.get(name) is None
    assert await hit(cache, count) is None


async def test_free_tries_pass_and_then_a_wait_begins(cache):
    name = key()
    assert [await hit(cache, name) for _ in range(3)] == [None] * 3
    assert 58 < await hit(cache, name) <= 60


async def test_waits_double_up_to_the_longest_and_end_at_the_limit(cache):
    waits = []
    for tries in range(1, 8):
        name = key()
        for _ in range(tries - 1):
            assert await hit(cache, name, NO_WAIT) is None
        assert await hit(cache, name, PACE) is None
        waits.append(await hit(cache, name, PACE))
    assert waits[:2] == [None, None]
    assert waits[2:] == pytest.approx([60, 120, 180, 180, 3600], abs=2)


async def test_a_try_that_has_to_wait_is_not_counted(cache):
    name = key()
    for _ in range(3):
        await hit(cache, name)
    for _ in range(20):
        assert await hit(cache, name) <= 60


async def test_nothing_is_counted_when_one_of_the_keys_has_to_wait(cache):
    closed, other = key(), key()
    for _ in range(3):
        await hit(cache, closed)
    for _ in range(10):
        wait = await cache.take([Turn(other, PACE), Turn(closed, PACE)])
        assert wait.key == closed
    assert [await hit(cache, other) for _ in range(3)] == [None] * 3


async def test_of_many_tries_at_once_no_more_pass_than_are_free(cache):
    pace = Pace(5, MINUTE, HOUR, HOUR)
    turns = [Turn(key(), pace), Turn(key(), pace)]
    waits = await asyncio.gather(*(cache.take(turns) for _ in range(40)))
    assert waits.count(None) == 5


async def test_calls_that_share_keys_in_any_order_do_not_wait_for_each_other(cache):
    pace = Pace(1000, MINUTE, HOUR, HOUR)
    names = [key() for _ in range(4)]
    turns = [Turn(name, pace) for name in names]
    calls = []
    for number in range(40):
        calls += [
            cache.take(turns if number % 2 else turns[::-1]),
            cache.settle(names[:2], names[2:], key(), MINUTE),
        ]
    answers = await asyncio.wait_for(asyncio.gather(*calls), 10)
    assert answers.count(None) == 80


@pytest.mark.parametrize(
    ("kept", "fixed", "forgotten"),
    [
        ((HOUR, MOMENT), False, True),
        ((MOMENT, HOUR), False, False),
        ((MOMENT, HOUR), True, True),
        ((HOUR, MOMENT), True, False),
    ],
)
async def test_a_count_is_kept_since_the_last_try_or_since_the_first(cache, kept, fixed, forgotten):
    name = key()
    for time in kept:
        assert await hit(cache, name, Pace(2, HOUR, HOUR, time, fixed=fixed)) is None
    await asyncio.sleep(2 * MOMENT.total_seconds())
    assert (await hit(cache, name) is None) is forgotten


async def test_a_key_with_an_exception_is_not_counted_while_there_is_one(cache):
    name, known = key(), key()
    await cache.set(known, b"", MINUTE)
    assert [await hit(cache, name, unless=known) for _ in range(10)] == [None] * 10
    await cache.delete([known])
    assert [await hit(cache, name, unless=known) for _ in range(3)] == [None] * 3
    assert await hit(cache, name, unless=known) > 0


async def test_a_settled_try_is_forgotten_given_back_and_remembered(cache):
    own, shared, known = key(), key(), key()
    for _ in range(3):
        await cache.take([Turn(own, PACE), Turn(shared, PACE)])
    await cache.settle([own], [shared], known, MINUTE)
    assert await cache.get(known) == b""
    assert [await hit(cache, own) for _ in range(3)] == [None] * 3
    assert await hit(cache, shared) is None
    assert await hit(cache, shared) > 0


async def test_while_redis_is_away_nothing_passes():
    async with open_redis("redis://127.0.0.1:1/0") as cache:
        for call in (
            cache.get("x"),
            cache.add("x", b"", MINUTE),
            cache.take([Turn("x", PACE)]),
            cache.settle([], [], "x", MINUTE),
        ):
            with pytest.raises(Unavailable):
                await call
