"""What has to be looked up before it can be told, beside the calls."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger()

EVERY_S = 10.0


async def keep_measuring(measure: Callable[[], Awaitable[None]], metrics_port: int) -> None:
    """Measure again and again until cancelled; never if nobody can fetch it (port 0)."""
    while metrics_port:
        try:
            await measure()
        except Exception as error:  # noqa: BLE001  (whatever it is, the next round tries again)
            log.warning("metrics.failed", error=type(error).__name__)
        await asyncio.sleep(EVERY_S)
