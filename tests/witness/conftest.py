"""A witness that knows an installation, so that each test has a log of its own to show it."""

from uuid import uuid4

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.witnesses import Log, WitnessProcess, running_witness

ORIGIN = "audit.example/one"
KEY = Ed25519PrivateKey.generate()


def new_log():
    """A log of the installation that no witness has seen."""
    return Log(f"{ORIGIN}/{uuid4()}", KEY)


@pytest.fixture
def log():
    """A log of the installation that no witness has seen."""
    return new_log()


@pytest.fixture(scope="session")
async def witness(tmp_path_factory):
    """A witness as a process."""
    state = tmp_path_factory.mktemp("witness") / "state"
    async with running_witness(state, ["--installation", new_log().vkey]) as running:
        yield running


@pytest.fixture(scope="session")
async def http():
    """A client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def new_witness(tmp_path):
    """A factory of witnesses that have a key and a port, and wait to be started."""
    made = []

    async def new(known, number=1):
        witness = WitnessProcess(tmp_path / f"w{number}", known, f"witness.example/w{number}")
        made.append(witness)
        await witness.start()
        await witness.stop()
        return witness

    yield new
    for witness in made:
        await witness.stop()
