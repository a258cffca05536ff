"""`python -m benchmarks.export`: a large log as a file, through the gateway over HTTP/1.1.

Each stream is compared with the others line by line, by its digest: read as fast as it comes, read
slowly, cut off and gone on with, and the file of a job. Meanwhile the memory of each process is
watched.
"""

import os

# The stack starts its processes beside channels that are open (see `growth.py`). Before grpc.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import argparse
import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import uvloop

from benchmarks import machine
from benchmarks.finding.large_log import LargeLog, large_log
from benchmarks.system import running_system
from smart_audit.stack.problem import Problem

EVENTS = 1_000_000
SLOW_MIB_PER_S = 8
MIB = 2**20
STREAM = "/v1/events:export"
PARTS = {"audit": "smart_audit.audit", "gateway": "envoy", "database": "postgres"}


@dataclass
class Lines:
    """What was read: the digest of all lines with events, and the record behind them."""

    count: int = 0
    size: int = 0
    hashed: Any = field(default_factory=hashlib.sha256)
    last_id: str = ""
    end: dict[str, Any] = field(default_factory=dict)
    rest: bytes = b""
    last: bytes = b""

    def add(self, piece: bytes) -> None:
        """Take in a piece; a line that is not whole waits for the rest of it."""
        self.size += len(piece)
        *lines, self.rest = (self.rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b'{"end"'):
                self.end = json.loads(line)["end"]
            else:
                self.hashed.update(line + b"\n")
                self.count += 1
                self.last = line


class Memory:
    """The largest resident memory of each kind of process, in MiB, while it is watched."""

    def __init__(self) -> None:
        self.peaks: dict[str, float] = {}

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look twice a second."""
        task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _watch(self) -> None:
        while True:
            for process in psutil.Process().children(recursive=True):
                self._look(process)
            await asyncio.sleep(0.5)

    def _look(self, process: psutil.Process) -> None:
        try:
            command, rss = " ".join(process.cmdline()), process.memory_info().rss / MIB
        except psutil.Error:
            return
        # Shared memory counts in each process of Postgres; what they share is not ours to grow.
        for part, mark in PARTS.items():
            if mark in command and part != "database":
                self.peaks[part] = max(self.peaks.get(part, 0), rss)


@dataclass(frozen=True)
class Client:
    """Reads exports through the gateway."""

    http: httpx.AsyncClient

    async def read(
        self, path: str, lines: Lines, *, mib_per_s: float = 0, until: int = 0, **query: str
    ) -> str:
        """Read a stream to its end, or until so many bytes; gives its cursor."""
        started = time.perf_counter()
        async with self.http.stream("GET", path, params=query) as answer:
            if answer.status_code != httpx.codes.OK:
                raise RuntimeError((await answer.aread()).decode())
            async for piece in answer.aiter_raw(MIB):
                lines.add(piece)
                if until and lines.size >= until:
                    break
                if mib_per_s:
                    due = started + lines.size / (mib_per_s * MIB)
                    await asyncio.sleep(max(0, due - time.perf_counter()))
            return str(answer.headers.get("export-cursor", ""))

    async def job(self) -> dict[str, Any]:
        """Order an export and wait for it; gives the operation."""
        operation = (await self.http.post("/v1/exports", json={})).json()
        while not operation["done"]:
            await asyncio.sleep(1)
            operation = (await self.http.get(f"/v1/{operation['name']}")).json()
        return dict(operation)


async def measure(log: LargeLog, slow: float) -> dict[str, object]:
    """All ways of reading the log as a file. Raises: RuntimeError when two of them differ."""
    figures: dict[str, object] = {}
    base = f"http://127.0.0.1:{log.system.gateway_port}"
    headers = {"authorization": f"Bearer {log.user.access_token}", "accept-encoding": "identity"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=300) as http:
        client = Client(http)
        fast, cursor = Lines(), ""
        async with _figures("fast", figures, fast):
            cursor = await client.read(STREAM, fast)
        slowly = Lines()
        async with _figures("slow", figures, slowly):
            await client.read(STREAM, slowly, mib_per_s=slow, cursor=cursor)
        cut = Lines()
        async with _figures("cut and gone on with", figures, cut):
            await client.read(STREAM, cut, until=fast.size // 2, cursor=cursor)
            cut.rest = b""
            after = json.loads(cut.last)["id"]
            await client.read(STREAM, cut, cursor=cursor, after=after)
        _check(fast, slowly, cut)
        filed = Lines()
        async with _figures("job", figures, filed):
            operation = await client.job()
        fetched = Lines()
        async with _figures("download", figures, fetched):
            await client.read(operation["response"]["download"], fetched)
        if str(fetched.count) != operation["response"]["events"] or not fetched.end["complete"]:
            raise RuntimeError("the file of the job is not whole")
    return figures


@asynccontextmanager
async def _figures(name: str, figures: dict[str, object], lines: Lines) -> AsyncIterator[None]:
    memory, started = Memory(), time.perf_counter()
    async with memory.watched():
        yield
    seconds = time.perf_counter() - started
    peaks = {part: round(peak) for part, peak in memory.peaks.items()}
    figures[name] = {
        "seconds": round(seconds, 1),
        "events": lines.count,
        "events_per_s": round(lines.count / seconds),
        "mib_per_s": round(lines.size / MIB / seconds, 1),
        "peak_mib": peaks,
    }
    print(f"{name}: {figures[name]}", file=sys.stderr)


def _check(first: Lines, *others: Lines) -> None:
    for one in others:
        same = one.hashed.digest() == first.hashed.digest() and one.count == first.count
        if not same or not one.end.get("complete"):
            raise RuntimeError(f"{one.count} lines are not those of {first.count}")


async def run(events: int, slow: float) -> dict[str, object]:
    """Fill a log and export it in all ways."""
    async with running_system() as system, large_log(system, events) as (log, _):
        return {"machine": machine.describe(system), **await measure(log, slow)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="in the log")
    parser.add_argument("--slow", type=float, default=SLOW_MIB_PER_S, help="MiB/s of who is slow")
    options = parser.parse_args(arguments)
    try:
        figures = uvloop.run(run(options.events, options.slow))
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
