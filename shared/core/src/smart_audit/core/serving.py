"""Serving until a signal comes, and other work of a service in a loop of its own."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from platform import python_version
from typing import Any, TypeVar

import uvloop

from smart_audit.core import crashes, logs, memory, metrics, tracing
from smart_audit.core.rpc.server import background, until_signalled
from smart_audit.core.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)

GC_THRESHOLD = 20_000
GIVE_BACK_EVERY_S = 15.0


def run(service: str, settings: ServiceSettings, work: Coroutine[Any, Any, None]) -> None:
    """Run some work of a service to its end."""
    logs.configure(service, settings.log_format, settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def serve(
    service: str, settings: S, running: Callable[[S], AbstractAsyncContextManager[int]]
) -> None:
    """Serve until SIGTERM or SIGINT. running: its context is the time that the server serves."""
    metrics.BUILD.labels(service, version("smart-audit-core"), python_version()).set(1)
    with (
        crashes.reported(service, settings.sentry_dsn.get_secret_value(), settings.env),
        tracing.exporting(service, settings.otlp_endpoint),
    ):
        run(service, settings, _serve(running(settings)))


async def _serve(server: AbstractAsyncContextManager[int]) -> None:
    async with server:
        # What is there now stays to the end: the collector need not look through it again and
        # again. Calls make little garbage in cycles, so that it may look less often, too.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)
        async with background(_give_memory_back):
            await until_signalled()


async def _give_memory_back() -> None:
    # What a few logins took would else stay for ever: each hash takes megabytes, and asking the
    # system for them anew each time costs half as much as the hash.
    while True:
        await asyncio.to_thread(memory.give_back)
        await asyncio.sleep(GIVE_BACK_EVERY_S)
