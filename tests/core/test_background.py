"""What runs beside a server ends with it."""

import asyncio

from smart_audit.core.rpc import server
from smart_audit.core.rpc.server import background


async def test_work_that_loses_a_cancellation_is_asked_again(monkeypatch):
    monkeypatch.setattr(server, "CANCEL_AGAIN_S", 0.01)
    lost = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # As `asyncio.wait_for` does, when what it waits for comes in the same turn.
            lost.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(10), background(work):
        await asyncio.sleep(0)
    assert lost.is_set()
