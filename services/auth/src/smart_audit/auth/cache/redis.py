"""The cache in Redis or Valkey, for installations whose throttles should not cost their database.

Scripts run one after the other in Redis, which makes each call atomic; its clock rules. Entries are
strings, counts are hashes of `count` and `open_at` (milliseconds since 1970). The scripts touch
several keys, so it takes one server (with replicas if you like), not a Redis Cluster.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from smart_audit.auth.cache import Turn, Wait
from smart_audit.core.errors import Unavailable

PREFIX = "smart-audit:auth:"
TIMEOUT_S = 1.0

NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

TAKE = (
    NOW
    + """
local wanted, wait, closed = {}, 0, 0
for number, pace in ipairs(cjson.decode(ARGV[1])) do
    local key, unless = KEYS[2 * number - 1], KEYS[2 * number]
    if unless == '' or redis.call('EXISTS', unless) == 0 then
        wanted[#wanted + 1] = {key, pace}
        local left = (tonumber(redis.call('HGET', key, 'open_at')) or 0) - now
        if left > wait then wait, closed = left, number end
    end
end
if wait > 0 then return {closed, wait} end
for _, turn in ipairs(wanted) do
    local key, pace = turn[1], turn[2]
    local count = redis.call('HINCRBY', key, 'count', 1)
    local pause = 0
    if count >= pace.limit then pause = pace.kept
    elseif count >= pace.free then
        pause = math.min(pace.longest, pace.first * 2 ^ math.min(count - pace.free, 40))
    end
    redis.call('HSET', key, 'open_at', string.format('%.0f', now + pause))
    if count == 1 or not pace.fixed then redis.call('PEXPIRE', key, pace.kept) end
end
return nil
"""
)

SETTLE = (
    NOW
    + """
redis.call('SET', KEYS[1], '', 'PX', ARGV[1])
for number = 2, #KEYS do
    local key = KEYS[number]
    local count = tonumber(redis.call('HGET', key, 'count'))
    if number <= ARGV[2] + 1 then redis.call('DEL', key)
    elseif count then
        redis.call('HSET', key, 'count', math.max(count - 1, 0), 'open_at', now)
    end
end
"""
)


class RedisCache:
    """A `Cache` on a Redis server."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis
        self._take = redis.register_script(TAKE)
        self._settle = redis.register_script(SETTLE)

    async def get(self, key: str) -> bytes | None:
        """See `Cache`."""
        return cast("bytes | None", await _answer(self._redis.get(PREFIX + key)))

    async def set(self, key: str, value: bytes, ttl: timedelta) -> None:
        """See `Cache`."""
        await _answer(self._redis.set(PREFIX + key, value, px=ttl))

    async def add(self, key: str, value: bytes, ttl: timedelta) -> bool:
        """See `Cache`."""
        return bool(await _answer(self._redis.set(PREFIX + key, value, px=ttl, nx=True)))

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Cache`."""
        await _answer(self._redis.delete(*(PREFIX + key for key in keys)))

    async def take(self, turns: Sequence[Turn]) -> Wait | None:
        """See `Cache`."""
        keys = [
            key
            for turn in turns
            for key in (PREFIX + turn.key, PREFIX + turn.unless if turn.unless else "")
        ]
        paces = json.dumps([_as_json(turn) for turn in turns])
        closed = await _answer(self._take(keys=keys, args=[paces]))
        if closed is None:
            return None
        number, wait_ms = closed
        return Wait(turns[number - 1].key, timedelta(milliseconds=wait_ms))

    async def settle(
        self,
        forgotten: Sequence[str],
        given_back: Sequence[str],
        remembered: str,
        ttl: timedelta,
    ) -> None:
        """See `Cache`."""
        keys = [PREFIX + key for key in (remembered, *forgotten, *given_back)]
        await _answer(self._settle(keys=keys, args=[_ms(ttl), len(forgotten)]))


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[RedisCache]:
    """The cache at a `redis://` or `rediss://` URL; nothing is connected before the first call."""
    redis = Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        yield RedisCache(redis)
    finally:
        await redis.aclose()


async def _answer(call: Awaitable[Any]) -> Any:
    """Raises: Unavailable, so that nothing goes uncounted while Redis is away."""
    try:
        return await call
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable("the cache does not answer; retry") from error


def _as_json(turn: Turn) -> dict[str, Any]:
    pace = turn.pace
    return {
        "free": pace.free,
        "first": _ms(pace.first),
        "longest": _ms(pace.longest),
        "kept": _ms(pace.kept),
        "limit": pace.limit,
        "fixed": pace.fixed,
    }


def _ms(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)
