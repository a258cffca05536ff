"""One child process: how it is described, started, run to its end, and stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from smart_audit.stack.account import Account

_LAUNCHER = Path(__file__).with_name("launch.py")
_KILL_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class StopStep:
    """A signal, and the seconds to wait for the process to end by it."""

    signal: signal.Signals
    wait_s: float


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run as a child.

    `environment` is complete: nothing is inherited. `death_signal` is sent by the kernel (Linux)
    when the supervisor dies without stopping its children.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    account: Account | None = None
    directory: Path | None = None
    death_signal: signal.Signals = signal.SIGKILL
    stop_steps: tuple[StopStep, ...] = (StopStep(signal.SIGTERM, 15.0),)


async def spawn(program: Program) -> asyncio.subprocess.Process:
    """Start a program in its own session, its output appended to its log."""
    account = program.account
    command = [
        sys.executable,
        "-I",
        "-S",
        str(_LAUNCHER),
        str(os.getpid()),
        str(int(program.death_signal)),
        f"{account.uid}:{account.gid}" if account else "-",
        *program.command,
    ]
    with program.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=dict(program.environment),
            cwd=program.directory,
            # A terminal sends Ctrl-C to a whole session: children must not see it,
            # because the order in which they stop matters.
            start_new_session=True,
        )


async def run_to_end(program: Program) -> int:
    """Run a program and return its exit code; it is stopped when we are cancelled."""
    process = await spawn(program)
    try:
        return await process.wait()
    finally:
        await stop(process, program.stop_steps)


async def run_here(program: Program) -> int:
    """Run a program whose output is the person's, not a log's, and return its exit code."""
    process = await asyncio.create_subprocess_exec(*program.command, env=dict(program.environment))
    try:
        return await process.wait()
    finally:
        await stop(process, program.stop_steps)


async def stop(process: asyncio.subprocess.Process, steps: tuple[StopStep, ...]) -> None:
    """End a process by each step in turn, and by SIGKILL when none was enough."""
    for step in (*steps, StopStep(signal.SIGKILL, _KILL_WAIT_S)):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(step.signal)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), step.wait_s)


def exit_words(code: int) -> str:
    """Say how a process ended: a negative code is the signal that killed it."""
    if code >= 0:
        return f"stopped with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
