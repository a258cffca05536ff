"""Asks each part whether it works, until all do or the time is up."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import grpc
from grpc_health.v1 import health_pb2

from smart_audit.stack.admin import Admin
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.problem import Problem
from smart_audit.stack.services import Mutual
from smart_audit.stack.supervisor import Supervisor

Check = Callable[[], Awaitable[bool]]

START_LIMIT_S = 60.0
_ASK_AGAIN_S = 0.1
_ANSWER_LIMIT_S = 2.0
_CHANNEL_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    # The default pause between attempts grows to seconds: too slow for a start.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
)


async def wait_until_healthy(
    checks: Mapping[str, Check],
    supervisor: Supervisor,
    data: DataDir,
    limit_s: float = START_LIMIT_S,
    *,
    at_once: bool = False,
) -> None:
    """Wait for every check, by the name of its process.

    Raises: Problem that names the first process still unhealthy after `limit_s` seconds, or a
    process that keeps ending; `at_once` one that has ended a single time.
    """
    waiting = {name: asyncio.create_task(_passes(check)) for name, check in checks.items()}
    deadline = asyncio.get_running_loop().time() + limit_s
    try:
        while pending := [name for name, task in waiting.items() if not task.done()]:
            if at_once:
                for name in checks:
                    supervisor.refuse_crash(name)
            else:
                supervisor.refuse_crash_loop()
            if asyncio.get_running_loop().time() > deadline:
                raise Problem(
                    f"{pending[0]} was not healthy within {limit_s:.0f} seconds; "
                    f"its log says why: {data.log(pending[0])}"
                )
            await asyncio.wait(waiting.values(), timeout=_ASK_AGAIN_S)
    finally:
        for task in waiting.values():
            task.cancel()


async def _passes(check: Check) -> None:
    while not await check():  # noqa: ASYNC110 -- other processes set no event
        await asyncio.sleep(_ASK_AGAIN_S)


def grpc_check(address: str, mutual: Mutual | None = None) -> Check:
    """A check of a service's own health answer (grpc.health.v1, the empty service name)."""

    async def check() -> bool:
        async with _channel(address, mutual) as channel:
            ask = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                answer = await ask(health_pb2.HealthCheckRequest(), timeout=_ANSWER_LIMIT_S)
            except grpc.aio.AioRpcError:
                return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return check


def _channel(address: str, mutual: Mutual | None) -> grpc.aio.Channel:
    if mutual is None:
        return grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        mutual.authority.read_bytes(),
        mutual.gateway.key.read_bytes(),
        mutual.gateway.chain.read_bytes(),
    )
    return grpc.aio.secure_channel(address, credentials, options=_CHANNEL_OPTIONS)


def gateway_check(admin: Admin) -> Check:
    """A check that the gateway serves, and that it holds the keys to verify tokens with."""

    async def check() -> bool:
        try:
            return (
                await asyncio.to_thread(admin.is_live)
                and await asyncio.to_thread(admin.total, "jwks_fetch_success") > 0
            )
        except OSError:
            return False

    return check
