"""The SDK as a program uses it: through the gateway."""

import pytest

from smart_audit.client import AsyncClient, Client
from tests.support.machines import machines_of


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Profiles and memories of the test's own, and nothing of the environment that it runs in."""
    for name in ("ADDRESS", "TOKEN", "API_KEY", "PROFILE", "CA_FILE"):
        monkeypatch.delenv(f"SMART_AUDIT_{name}", raising=False)
    monkeypatch.setenv("SMART_AUDIT_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("SMART_AUDIT_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
async def user(world):
    return await world.new_user()


@pytest.fixture(scope="session")
async def machines(world):
    async with machines_of(world) as found:
        yield found


@pytest.fixture(scope="module")
async def machine(world, machines):
    """A service account's API key: (user, key)."""
    user = await world.new_user()
    return user, await machines.new_machine(user, "events.read", "events.record", "log.read")


@pytest.fixture
async def client(gateway, machine):
    _, key = machine
    async with AsyncClient(gateway.address, api_key=key.secret) as client:
        yield client


@pytest.fixture
def waiting(gateway, machine):
    """The client that waits. Call it in another thread: the services run in the test's loop."""
    _, key = machine
    with Client(gateway.address, api_key=key.secret) as client:
        yield client
