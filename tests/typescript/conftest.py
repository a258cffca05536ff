"""The TypeScript client, built."""

import asyncio
import fcntl
import os
import signal
from pathlib import Path

import pytest

from tests.support.node import CLIENT, command, environment

LIMIT_S = 120


async def run(program, *arguments, **more):
    """Run node, npm or tsc in the client's folder. Raises: AssertionError with what it said."""
    process = await asyncio.create_subprocess_exec(
        *command(program, *arguments),
        cwd=CLIENT,
        env=environment(**more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    ending = asyncio.create_task(process.communicate())
    done, _ = await asyncio.wait([ending], timeout=LIMIT_S)
    if not done:
        # Node's runner has processes of its own.
        os.killpg(process.pid, signal.SIGKILL)
    said = (await ending)[0].decode()
    assert process.returncode == 0, said
    return said


@pytest.fixture(scope="session")
async def built():
    """The built package; the first test of the run that asks builds it."""
    run_dir = Path(os.environ["SMART_AUDIT_TEST_RUN"])
    with (run_dir / "typescript.lock").open("a+") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        if lock.tell() == 0:
            await run("tsc", "--project", "tsconfig.build.json")
            lock.write("built")
    return CLIENT / "dist"
