"""`python -m benchmarks.meanwhile`: how long other calls take while people log in.

A login keeps a core busy for some tens of milliseconds; who asks for something else must not wait
for that. Prints the median and the 99th percentile of GetMe, alone and beside 32 logins in flight.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle
from statistics import median, quantiles

import uvloop

from benchmarks.load import Call, raw_call
from benchmarks.logins import LOGIN
from benchmarks.system import PASSWORD, System, running_system
from smart_audit.api.auth.v1 import auth_pb2

ME = "/smart_audit.api.auth.v1.AuthService/GetMe"
LOGINS_IN_FLIGHT = 32
ROUNDS = 5
CALLS = 400
PAUSE_S = 0.005


async def measure(system: System) -> None:
    """Print the table: rounds in turn, the median of each round's figures."""
    users = [await system.new_user() for _ in range(8)]
    await system.settled()
    me = raw_call(system.auth, ME, users[0].access_token)
    login = raw_call(system.auth, LOGIN)
    requests = cycle(
        auth_pb2.LoginRequest(email=user.email, password=PASSWORD).SerializeToString()
        for user in users
    )
    alone, beside = [], []
    for _ in range(ROUNDS):
        alone.append(await _latencies(me))
        async with GoingOn(lambda: login(next(requests))):
            beside.append(await _latencies(me))
    for name, rounds in (("alone", alone), ("beside 32 logins", beside)):
        p50 = median(median(times) for times in rounds)
        p99 = median(quantiles(times, n=100)[98] for times in rounds)
        print(f"GetMe {name:<18} p50 {p50 * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms")


async def _latencies(call: Call) -> list[float]:
    """Seconds of each call, one after the other with short pauses."""
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        await call(b"")
        times.append(time.perf_counter() - started)
        await asyncio.sleep(PAUSE_S)
    return times


class GoingOn:
    """Keeps calls in flight until the context is left."""

    def __init__(self, call: Callable[[], Awaitable[bytes]]) -> None:
        self._call = call

    async def __aenter__(self) -> None:
        self._tasks = [asyncio.create_task(self._repeat()) for _ in range(LOGINS_IN_FLIGHT)]

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _repeat(self) -> None:
        while True:
            await self._call()


async def main() -> None:
    """Start the system, measure, stop it."""
    async with running_system() as system:
        await measure(system)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main()))
