"""`smart-audit events tail` and `top`: on a real terminal of 80 columns, and piped."""

import asyncio
import fcntl
import json
import os
import pty
import re
import signal
import struct
import termios
from contextlib import asynccontextmanager

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from tests.support.events import event, record_batch, settled

LINES, COLUMNS = 24, 80
ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A terminal of 80 columns and 24 lines, and what was written to it."""

    def __init__(self, end):
        self._end = end
        self.written = b""
        self._more = asyncio.Event()
        self.ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(end, self._read)

    def _read(self):
        try:
            self.written += os.read(self._end, 65536)
        except OSError:
            # Nobody has the other end any more, and all that was written is read.
            asyncio.get_running_loop().remove_reader(self._end)
            self.ended.set()
        self._more.set()

    @property
    def text(self):
        return ESCAPE.sub(b"", self.written).decode(errors="replace")

    async def until(self, *words):
        """Wait until all of these have been shown."""
        async with asyncio.timeout(60):
            while not all(word in self.text for word in words):
                self._more.clear()
                await self._more.wait()

    def press(self, key):
        os.write(self._end, key)


@asynccontextmanager
async def on_terminal(cli, *arguments, **environment):
    """A command that has a terminal for all its streams."""
    end, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    terminal = Terminal(end)
    process = await cli.start(
        *arguments, stdin=theirs, stdout=theirs, stderr=theirs,
        TERM="xterm", COLUMNS=None, LINES=None, **environment,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield process, terminal
    finally:
        process.kill()
        await process.wait()
        await asyncio.wait_for(terminal.ended.wait(), 20)
        os.close(end)


async def test_a_tail_shows_events_above_a_status(cli, world, user):
    async with on_terminal(cli, "events", "tail") as (process, terminal):
        await terminal.until("0 shown")
        await record_batch(world, user, [event(action=f"door.open{n}") for n in range(3)])
        await terminal.until("door.open0", "door.open1", "door.open2", "Ctrl-C ends")
        lines = re.findall(r"\d\d:\d\d:\d\d [^\r\n]*", terminal.text)
        assert max(map(len, lines)) <= COLUMNS
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 20) == 130
    # The cursor, which the status hid, is back.
    assert b"\x1b[?25h" in terminal.written.rpartition(b"\x1b[?25l")[2]


async def test_a_piped_tail_has_whole_lines_and_ends_where_it_is_told(cli, world, user):
    await record_batch(world, user, [event(action="a" * 150)])
    await settled(world, user)
    tail = ("events", "tail", "--from-start", "-f", f"action={'a' * 150}", "-n", "1")
    plain = await cli.run(*tail)
    assert (plain.code, plain.err, plain.out.count("\n")) == (0, "", 1)
    assert "a" * 150 in plain.out
    assert "\x1b" not in plain.out
    line = await cli.run(*tail, "-o", "jsonl")
    assert json.loads(line.out)["action"] == "a" * 150
    rows = (await cli.run(*tail, "-o", "csv")).out.splitlines()
    assert (len(rows), rows[0].split(",")[:2]) == (2, ["log_index", "occurred_at"])


@pytest.mark.parametrize("quitting", ["q", "Ctrl-C"])
async def test_top_fits_a_small_terminal_and_counts_on(cli, world, user, quitting):
    await record_batch(world, user, [event(actor=audit_pb2.Actor(id="u_9")) for _ in range(7)])
    await settled(world, user)
    async with on_terminal(cli, "top") as (process, terminal):
        await terminal.until("actions", "actors", "failures", "q quits", "document.delete", "u_9")
        await record_batch(world, user, [event(action="door.break") for _ in range(2)])
        await terminal.until("door.break")
        first = terminal.written.split(b"\x1b[H")[1]
        assert ESCAPE.sub(b"", first).count(b"\n") < LINES
        if quitting == "q":
            terminal.press(b"q")
        else:
            process.send_signal(signal.SIGINT)
        ended = await asyncio.wait_for(process.wait(), 20)
    assert ended == (0 if quitting == "q" else 130)
    # The screen that was there before is back.
    assert b"\x1b[?1049l" in terminal.written


async def test_top_prints_its_numbers_once_when_it_is_piped(cli, world, user):
    await record_batch(world, user, [event(action="door.open") for _ in range(5)])
    await settled(world, user)
    piped = await cli.run("top", "-f", "action=door.open", "-o", "json")
    numbers = json.loads(piped.out)
    assert (numbers["total"], numbers["actions"]) == (5, {"door.open": 5})
    assert sum(numbers["rates"]) == 5
    assert (await cli.run("top")).out.startswith("minutes")
