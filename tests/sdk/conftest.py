"""The SDK as a program uses it: through the gateway."""

from uuid import uuid4

import pytest

from smart_audit.client import AsyncClient, Client, Recorder
from tests.cli.cable import cable_to
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


@pytest.fixture
def source():
    """Whose events are looked for."""
    return f"recorder-{uuid4().hex[:12]}"


@pytest.fixture
async def cable(gateway):
    """The way to the gateway, not plugged in yet."""
    async with cable_to(gateway.address) as cable:
        yield cable


@pytest.fixture
def recorder_to(machine, tmp_path):
    """Makes recorders, which are closed at the end."""
    made = []

    def make(address, **options):
        options = {"spool": tmp_path / "spool", "linger_s": 0.01, "exit_s": 0, **options}
        made.append(Recorder(Client(address, api_key=machine[1].secret), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
