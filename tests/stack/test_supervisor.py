"""Children that crash, hang or never get healthy."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from smart_audit.stack.datadir import DataDir
from smart_audit.stack.health import grpc_check, wait_until_healthy
from smart_audit.stack.problem import Problem, last_line
from smart_audit.stack.process import Program, StopStep, run_to_end
from smart_audit.stack.supervisor import Supervisor
from tests.stack.running import free_port


def program(folder: Path, script: str, name: str = "child") -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-I", "-S", "-c", script],
        environment=os.environ,
        log=folder / f"{name}.log",
        stop_steps=(StopStep(signal.SIGTERM, 0.5),),
    )


@pytest.fixture
async def supervisor():
    lines: list[str] = []
    found = Supervisor(lines.append)
    yield found
    await found.stop_all()


async def test_a_child_that_keeps_ending_is_named_with_its_last_word(tmp_path, supervisor):
    await supervisor.start(program(tmp_path, "print('one'); raise SystemExit('no such luck')"))
    never = {"child": grpc_check(f"127.0.0.1:{free_port()}")}
    with pytest.raises(Problem, match=r"child does not start: .* \(log: .*child\.log\)"):
        await wait_until_healthy(never, supervisor, DataDir(tmp_path))


async def test_a_child_that_never_gets_healthy_is_named(tmp_path, supervisor):
    await supervisor.start(program(tmp_path, "import time; time.sleep(60)"))
    never = {"child": grpc_check(f"127.0.0.1:{free_port()}")}
    with pytest.raises(Problem, match=r"child was not healthy within 0 seconds"):
        await wait_until_healthy(never, supervisor, DataDir(tmp_path), limit_s=0.3)


async def test_a_child_deaf_to_sigterm_is_killed(tmp_path, supervisor):
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(60)"
    )
    child = await supervisor.start(program(tmp_path, script))
    async with asyncio.timeout(10):
        while last_line(tmp_path / "child.log") != "deaf":
            await asyncio.sleep(0.02)
    pid = child.pid
    assert pid is not None
    await supervisor.stop([child])
    assert not psutil.pid_exists(pid)


async def test_a_child_does_not_see_the_terminals_ctrl_c(tmp_path, supervisor):
    child = await supervisor.start(program(tmp_path, "import time; time.sleep(60)"))
    assert os.getsid(child.pid) == child.pid


async def test_a_program_is_stopped_when_its_wait_is_cut_short(tmp_path):
    me = psutil.Process()
    known = set(me.children())
    script = "import time; print('here', flush=True); time.sleep(60)"
    task = asyncio.create_task(run_to_end(program(tmp_path, script)))
    async with asyncio.timeout(10):
        while last_line(tmp_path / "child.log") != "here":
            await asyncio.sleep(0.02)
        children = set(me.children()) - known
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert children
    assert not any(child.is_running() for child in children)
