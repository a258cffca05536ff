"""What tests stand on: one embedded PostgreSQL per run, databases cloned from one migrated
template, real servers of both services, a real Envoy."""

import fcntl
import gc
import os

# Servers and clients run in this process while tests fork others out of it: gRPC's own handlers of
# fork() would run in the child and may crash it before it becomes what it is to be. Before grpc.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
# As in audit (see its `__main__.py`). Before numpy.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import settings
from playwright.async_api import Browser

from smart_audit.core import logs
from smart_audit.core.serving import GC_THRESHOLD
from tests.support.administrators import (
    Console,
    admin_stub,
    as_administrator,
    new_administrator,
)
from tests.support.browser import chromium_beside_servers
from tests.support.database import Cluster, start_cluster
from tests.support.gateway import Gateway, running_gateway
from tests.support.world import User, World, running_world

# What is imported from here on stays to the end: nobody need look through it meanwhile.
gc.disable()

# Servers run inside the tests' process; what they log is noise unless it is an error.
logs.configure("test", "console", "ERROR")

# Enough to find what a change breaks; a single run of many more finds little else.
settings.register_profile("suite", max_examples=40, deadline=None)
settings.load_profile("suite")

RUN_DIR = "SMART_AUDIT_TEST_RUN"


def pytest_configure(config: pytest.Config) -> None:
    """The run's own directory, made by the controller and known to all its workers."""
    if not hasattr(config, "workerinput"):
        os.environ[RUN_DIR] = tempfile.mkdtemp(prefix="smart-audit-test-")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the services run in."""
    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_finish() -> None:
    """What is there now stays to the end: as in the services, nobody need look through it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    gc.enable()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the run's database, if any test asked for one."""
    if hasattr(config, "workerinput") or RUN_DIR not in os.environ:
        return
    run_dir = Path(os.environ.pop(RUN_DIR))
    Cluster.stop_in(run_dir)
    shutil.rmtree(run_dir, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The run's PostgreSQL with the migrated template; the first test that asks starts it."""
    run_dir = Path(os.environ[RUN_DIR])
    with (run_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return start_cluster(run_dir)


@pytest.fixture(scope="session")
async def world(cluster: Cluster) -> AsyncIterator[World]:
    """Both services on a database of their own, shared by the tests of one worker.

    Each test has a user of its own, and with it an organisation and a log.
    """
    async with running_world(cluster.new_database()) as running:
        yield running


@pytest.fixture(scope="session")
async def gateway(world: World) -> AsyncIterator[Gateway]:
    """A real Envoy in front of `world`."""
    async with running_gateway(world) as running:
        yield running


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium; each page is a person of its own."""
    async with chromium_beside_servers() as running:
        yield running


@pytest.fixture(scope="session")
async def _administrator(world: World) -> User:
    """Each one takes three passwords to make."""
    return await new_administrator(world)


@pytest.fixture(scope="module")
async def console(world: World, _administrator: User) -> Console:
    """An administrator of the installation, at work, who has logged in a moment ago."""
    session = await world.login(_administrator.email)
    return Console(world, admin_stub(world.auth_channel), await as_administrator(world, session))
