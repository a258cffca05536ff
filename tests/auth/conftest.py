"""An administrator for all tests of a worker: each one takes three passwords to make."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from tests.support.administrators import Console, admin_stub, new_administrator
from tests.support.world import World


@pytest.fixture(scope="session")
async def console(world: World) -> AsyncIterator[Console]:
    """An administrator of the installation, at work."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.auth_port}") as channel:
        yield Console(world, admin_stub(channel), await new_administrator(world))
