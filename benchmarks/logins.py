"""Logins against the hash that they cannot do without."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle, islice

from argon2 import PasswordHasher, Type
from pydantic import SecretStr

from benchmarks.load import raw_call, send_all
from benchmarks.measure import Benchmark, Done, Pair, Stopwatch
from benchmarks.system import PASSWORD, System
from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.settings import AuthSettings

LOGIN = "/smart_audit.api.auth.v1.AuthService/Login"
IN_FLIGHT = (2, 8, 32)
LOGINS = 150


@asynccontextmanager
async def logins(callers: int, system: System, scale: float) -> AsyncIterator[Pair]:
    """AuthService.Login of as many users as there are callers; argon2 alone, in as many threads.

    The handing over of the logins' events to audit goes on beside them, and is waited for before
    the limit's turn.
    """
    # Only the hash's settings matter here; the service reads the same ones.
    settings = AuthSettings(database_url=SecretStr("postgresql://"))
    users = [await system.new_user() for _ in range(callers)]
    call = raw_call(system.auth, LOGIN)
    count = max(1, round(LOGINS * scale))
    requests = [
        auth_pb2.LoginRequest(email=user.email, password=PASSWORD).SerializeToString()
        for user in islice(cycle(users), count)
    ]
    hasher = PasswordHasher(
        time_cost=settings.argon2_passes,
        memory_cost=settings.argon2_memory_kib,
        parallelism=1,
        type=Type.ID,
    )
    hashed = hasher.hash(PASSWORD)
    with ThreadPoolExecutor(settings.hash_threads) as pool:

        async def ours() -> Done:
            await system.settled()
            watch = Stopwatch()
            answers = await send_all(call, requests, callers)
            done = watch.done(len(answers))
            await system.settled()
            return done

        async def limit() -> Done:
            loop = asyncio.get_running_loop()

            async def verify(_: bytes) -> bytes:
                await loop.run_in_executor(pool, hasher.verify, hashed, PASSWORD)
                return b""

            watch = Stopwatch()
            return watch.done(len(await send_all(verify, requests, callers)))

        yield Pair(ours, limit)


LOGIN_LINES = [
    Benchmark(
        f"logins, {callers} in flight",
        "logins/s",
        "argon2id verify alone",
        partial(logins, callers),
    )
    for callers in IN_FLIGHT
]
