"""How another command has the running supervisor do something: a unix socket in a private folder.

A request is a line, `restart WHAT`. The answer is a line for each step, and at the end `done`, or
`failed: ` and why.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from smart_audit.stack.problem import Problem
from smart_audit.stack.supervisor import Say

Restart = Callable[[str, Say], Awaitable[None]]

_REQUEST, _DONE, _FAILED = "restart ", "done", "failed: "


@asynccontextmanager
async def listening(path: Path, restart: Restart) -> AsyncIterator[None]:
    """Take requests, one at a time, until the context is left."""
    one_at_a_time = asyncio.Lock()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(f"{line}\n".encode())

        try:
            what = (await reader.readline()).decode().removeprefix(_REQUEST).strip()
            async with one_at_a_time:
                await restart(what, say)
            say(_DONE)
        except Problem as problem:
            say(f"{_FAILED}{problem}")
        finally:
            writer.close()

    async with await asyncio.start_unix_server(answer, sock=_private(path)):
        yield


def _private(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # left by a supervisor that was killed
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(path))
    path.chmod(0o600)
    return bound


def request_restart(path: Path, what: str, say: Say) -> None:
    """Have the supervisor restart something, and say each step.

    Raises: Problem when it fails, or when the supervisor goes away.
    """
    try:
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            connection.connect(str(path))
            connection.sendall(f"{_REQUEST}{what}\n".encode())
            with connection.makefile(encoding="utf-8") as lines:
                for line in map(str.rstrip, lines):
                    if line == _DONE:
                        return
                    if line.startswith(_FAILED):
                        raise Problem(line.removeprefix(_FAILED))
                    say(line)
    except OSError as error:
        raise Problem(f"The running system does not answer ({error.strerror}).") from error
    raise Problem("The running system has stopped meanwhile.")
