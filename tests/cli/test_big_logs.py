"""`smart-audit verify log` of a big log: in few calls, and in memory that does not grow with it."""

import asyncio
import sys

import pytest

from tests.cli.logs import public_log
from tests.support.processes import plain_environment

# What getrusage tells is as much as what the process had from its parent before.
MEASURED = """
import pathlib, sys
from smart_audit.cli.main import main
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status").read_text()
    print(status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
"""


async def peak_mib(cli, *arguments):
    """The most memory that a verification had, in MiB."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MEASURED,
        "verify",
        "log",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=plain_environment() | cli.environment,
    )
    out, err = await asyncio.wait_for(process.communicate(), 300)
    assert process.returncode == 0, err.decode()
    return out.decode(), int(err.split()[-1]) / 1024


@pytest.mark.soak
async def test_the_memory_does_not_grow_with_the_log(cli, world):
    # Beyond one full tile of level 1, so that there are three levels.
    small, _ = await asyncio.to_thread(public_log, world, 2_000)
    big, _ = await asyncio.to_thread(public_log, world, 66_000)
    _, before = await peak_mib(cli, "--log", small)
    said, peak = await peak_mib(cli, "--log", big)
    assert said.startswith("verified 66000 entries of ")
    assert peak < before + 16
