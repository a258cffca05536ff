"""Real processes for the tests of the stack: whole stacks, and a Postgres of somebody else."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from typer.testing import CliRunner, Result

from smart_audit.stack.__main__ import main_app
from smart_audit.stack.account import grant_passage, postgres_account
from smart_audit.stack.postgres import binary

START_LIMIT_S = 120.0
STOP_LIMIT_S = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], object], what: str, limit_s: float = START_LIMIT_S):
    """Wait for a true answer and return it."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {limit_s} s: {what}")


def environment(**extra: str) -> dict[str, str]:
    """Ours, with nothing of the developer's settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AUTH_", "AUDIT_"))}
    kept.pop("DATABASE_URL", None)
    return kept | {"COLUMNS": "200"} | extra


def smart_audit(*arguments: str, cwd: Path, **extra: str) -> Result:
    """Run one command to its end, in this process: starting Python takes longer than the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.delenv("DATABASE_URL", raising=False)
        return CliRunner().invoke(main_app(), arguments, env=extra)


def refusal(done: Result) -> str:
    """The one sentence of a command that refused to work."""
    assert done.exit_code == 1, done.output
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.output
    return lines[0].removeprefix("smart-audit: ")


@dataclass
class RunningStack:
    """An `up` in the foreground of its own process."""

    folder: Path
    arguments: list[str]
    process: subprocess.Popen[bytes]
    pids: set[int] = field(default_factory=set)

    @property
    def data(self) -> Path:
        return self.folder / ".smart-audit"

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.data / "state.json").read_text())
        return state

    def log(self, name: str) -> str:
        return (self.data / "logs" / f"{name}.log").read_text()

    def child(self, *words: str) -> int | None:
        """The process id of the child whose command line holds all words."""
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                command = child.cmdline()
                if all(any(word in part for part in command) for word in words):
                    return child.pid
        return None

    def wait_until_up(self) -> None:
        def up() -> bool:
            assert self.process.poll() is None, (self.folder / "output").read_text()
            # A killed supervisor leaves its state behind; ours names us.
            with suppress(OSError, ValueError):
                return bool(self.state["supervisor_pid"] == self.process.pid)
            return False

        eventually(up, "the stack is up")
        self.pids = {p.pid for p in psutil.Process(self.process.pid).children(recursive=True)}

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(by)
        return self.process.wait(STOP_LIMIT_S)

    def left_over(self) -> set[int]:
        return {pid for pid in self.pids if _lives(pid)}


@contextmanager
def running_stack(folder: Path, *options: str, **extra: str) -> Iterator[RunningStack]:
    ports = ["--port", "--auth-port", "--audit-port"]
    arguments = [part for option in ports for part in (option, str(free_port()))]
    command = [sys.executable, "-m", "smart_audit.stack", "up", *arguments, *options]
    with (
        (folder / "output").open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, env=environment(**extra), stdout=output, stderr=output
        ) as process,
    ):
        stack = RunningStack(folder, arguments, process)
        try:
            stack.wait_until_up()
            yield stack
        finally:
            if process.poll() is None:
                assert stack.stop(signal.SIGINT) == 0
                assert not stack.left_over()


@dataclass(frozen=True)
class OutsideServer:
    """A PostgreSQL that somebody else runs."""

    major: int
    port: int

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"


@contextmanager
def outside_postgres(folder: Path, major: int) -> Iterator[OutsideServer]:
    binaries = binary("postgres").parents[2] / ("pginstall18" if major == 18 else "pginstall")
    cluster = folder / f"outside-{major}"
    cluster.mkdir(mode=0o700)
    account = postgres_account()
    who: dict[str, Any] = {
        "cwd": cluster,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    if account is not None:
        os.chown(cluster, account.uid, account.gid)
        grant_passage(account, folder)
        grant_passage(account, binaries)
        who |= {"user": account.uid, "group": account.gid, "extra_groups": []}
    initdb = [binaries / "bin/initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-N"]
    subprocess.run([str(part) for part in initdb], check=True, **who)
    server = OutsideServer(major, free_port())
    command = [binaries / "bin/postgres", "-D", cluster, "-p", str(server.port), "-k", "", "-F"]
    with subprocess.Popen([str(part) for part in command], **who) as process:
        try:
            eventually(lambda: _accepts(server), "Postgres listens")
            yield server
        finally:
            process.send_signal(signal.SIGINT)


def _lives(pid: int) -> bool:
    """A zombie has ended: it only waits for whoever inherited it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _accepts(server: OutsideServer) -> bool:
    """Whether it lets clients in: it listens before it has started."""
    with suppress(psycopg.OperationalError), psycopg.connect(server.url(), connect_timeout=1):
        return True
    return False
