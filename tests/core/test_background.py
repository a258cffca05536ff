"""What runs beside a server ends with it."""

import asyncio

from smart_audit.core.rpc import server
from smart_audit.core.rpc.server import background


async def test_work_that_loses_a_cancellation_is_asked_again(monkeypatch):
    monkeypatch.setattr(server, "CANCEL_AGAIN_S", 0.01)
    errors = []

    async def statement():
        try:
            await asyncio.Event().wait()
        finally:
            if not errors:
                raise ConnectionError("the connection is closed")

    async def work():
        while True:
            try:
                await statement()
            except ConnectionError as error:
                errors.append(error)

    async with asyncio.timeout(5) as limit, background(work):
        await asyncio.sleep(0)
    assert not limit.expired()
    assert len(errors) == 1
