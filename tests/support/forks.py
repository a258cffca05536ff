"""The product's commands as processes forked from one that has imported them already.

To start Python and to import all that a service needs takes one or two seconds, which most tests
of processes would spend on nothing they look at. Here one process for each module does it once,
and forks whenever that module is to run: with the environment, the folder and the streams that are
asked for, and with a process id of its own to be signalled and killed by. The tests of the stack
start the product as users do.
"""

import asyncio
import fcntl
import gc
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any

from smart_audit.cli.commands import COMMANDS
from smart_audit.cli.lazy import Group

RUN_DIR = "SMART_AUDIT_TEST_RUN"
SERVICES = ("smart_audit.auth", "smart_audit.audit")
MAX_REQUEST = 1 << 20
NUMBER = struct.Struct("!i")
STREAMS = 3
LOOK_EVERY_S = 2.0
File = int | IO[Any]


class Forked:
    """A process, as asyncio's own has it."""

    def __init__(
        self,
        pid: int,
        answers: asyncio.StreamReader,
        connection: asyncio.StreamWriter,
        ends: list[Any],
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: asyncio.StreamWriter | None
        self.stdout: asyncio.StreamReader | None
        self.stderr: asyncio.StreamReader | None
        self.stdin, self.stdout, self.stderr = ends
        self._ended = asyncio.create_task(self._end(answers, connection))

    async def _end(self, answers: asyncio.StreamReader, connection: asyncio.StreamWriter) -> int:
        (status,) = NUMBER.unpack(await answers.readexactly(NUMBER.size))
        connection.close()
        if self.stdin is not None:
            self.stdin.close()
        self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    async def wait(self) -> int:
        """The exit code, or the negative number of the signal that ended it."""
        return await asyncio.shield(self._ended)

    async def communicate(self, data: bytes = b"") -> tuple[bytes, bytes]:
        """Give it its input, and read all that it says until it ends."""
        out, err, _ = await asyncio.gather(
            _all_of(self.stdout), _all_of(self.stderr), self._feed(data)
        )
        await self.wait()
        return out, err

    async def _feed(self, data: bytes) -> None:
        if self.stdin is None:
            return
        try:
            self.stdin.write(data)
            await self.stdin.drain()
            self.stdin.close()
            await self.stdin.wait_closed()
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended without reading all

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


async def start(
    module: str,
    *arguments: object,
    env: Mapping[str, str] | None = None,
    stdin: File | None = None,
    stdout: File | None = None,
    stderr: File | None = None,
) -> Forked:
    """What `python -m module arguments` would be; the streams as `create_subprocess_exec` takes
    them."""
    connection = await asyncio.to_thread(_connected, module)
    theirs: list[int] = []
    ours: list[int | None] = []
    for number, stream in enumerate((stdin, stdout, stderr)):
        end, other = _stream(number, stream, theirs)
        theirs.append(end)
        ours.append(other)
    request = {
        "arguments": [str(one) for one in arguments],
        "environment": dict(os.environ if env is None else env),
        "folder": str(Path.cwd()),
    }
    try:
        socket.send_fds(connection, [json.dumps(request).encode()], theirs)
        connection.shutdown(socket.SHUT_WR)
    finally:
        for end, stream in zip(theirs, (stdin, stdout, stderr), strict=True):
            if stream in (PIPE, DEVNULL):
                os.close(end)
    connection.setblocking(False)
    answers, writer = await asyncio.open_unix_connection(sock=connection)
    (pid,) = NUMBER.unpack(await answers.readexactly(NUMBER.size))
    ends = [await _writer(ours[0]), *[await _reader(one) for one in ours[1:]]]
    return Forked(pid, answers, writer, ends)


def _stream(number: int, asked: File | None, theirs: list[int]) -> tuple[int, int | None]:
    """The end that the process gets, and ours if it is a pipe."""
    if asked is None:
        return number, None
    if asked == PIPE:
        reading, writing = os.pipe()
        return (reading, writing) if number == 0 else (writing, reading)
    if asked == STDOUT:
        return theirs[1], None
    if asked == DEVNULL:
        return os.open(os.devnull, os.O_RDWR), None
    return (asked if isinstance(asked, int) else asked.fileno()), None


async def _writer(end: int | None) -> asyncio.StreamWriter | None:
    if end is None:
        return None
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
    transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(end, "wb"))
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _reader(end: int | None) -> asyncio.StreamReader | None:
    if end is None:
        return None
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: _Pipe(reader), os.fdopen(end, "rb"))
    return reader


class _Pipe(asyncio.StreamReaderProtocol):
    """Closes its end when the other one is closed: asyncio would, uvloop leaves it to us."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


async def _all_of(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


def _connected(module: str) -> socket.socket:
    """A connection to the process that forks a module; the first who asks in a run starts it."""
    address = Path(os.environ[RUN_DIR]) / f"{module}.socket"
    with address.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not address.exists():
            command = [sys.executable, "-m", __name__, module, str(address)]
            _forking.append(subprocess.Popen(command, stdout=subprocess.PIPE))
            assert _forking[-1].stdout is not None
            assert _forking[-1].stdout.readline(), f"{module} cannot be imported"
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(address))
    return connection


# Kept, because a Popen that is dropped complains; they end with the run's directory.
_forking: list[subprocess.Popen[bytes]] = []


def _serve(module: str, address: Path) -> list[str]:
    """Fork for each who connects; comes back in a process that is to run the module, with the
    arguments, and ends in the one that forks."""
    main = f"{module}.__main__"
    import_module(main)
    if module == "smart_audit.cli":
        _import_commands()
    elif module in SERVICES:
        import_module(f"{module}.wiring")
        import_module("smart_audit.core.serving")
        import_module("jinja2")  # auth does at its first mail
    del sys.modules[main]  # it runs anew
    gc.collect()
    gc.freeze()
    # Nobody asks how those ended that only hand on how others did.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(address))
        listening.listen(64)
        listening.settimeout(LOOK_EVERY_S)
        os.write(1, b"ready\n")
        while address.exists():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            with connection:
                if os.fork() == 0:
                    listening.close()
                    return _take(connection)
    sys.exit()


def _import_commands() -> None:
    """What the command line imports when a command is run: once, instead of in each process."""
    groups = [COMMANDS]
    for group in groups:
        groups += [one for one in group.commands.values() if isinstance(one, Group)]
        for plugin in entry_points(group=group.plugins) if group.plugins else ():
            plugin.load()
    for leaf in COMMANDS.leaves():
        import_module(leaf.module)
    # Typer imports this, and pydantic by it, when it reads a command's arguments.
    import_module("typer._adapters")


def _take(connection: socket.socket) -> list[str]:
    """Fork once more: one becomes what was asked for, the other tells how that ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.settimeout(None)
    data, streams, _, _ = socket.recv_fds(connection, MAX_REQUEST, STREAMS)
    while more := connection.recv(MAX_REQUEST):
        data += more
    if pid := os.fork():
        for stream in (*streams, 0, 1, 2):
            os.close(stream)
        try:
            connection.sendall(NUMBER.pack(pid))
            _, status = os.waitpid(pid, 0)
            connection.sendall(NUMBER.pack(status))
        finally:
            os._exit(0)
    connection.close()
    request = json.loads(data)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for stream in set(streams) - {0, 1, 2}:
        os.close(stream)
    # Made as Python makes them at its start; those that are there know what the streams were.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    arguments: list[str] = request["arguments"]
    return arguments


if __name__ == "__main__":
    _, name, path = sys.argv
    sys.argv[1:] = _serve(name, Path(path))
    runpy.run_module(name, run_name="__main__", alter_sys=True)
