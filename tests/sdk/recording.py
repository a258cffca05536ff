"""What tests of the recorder do again and again."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager

from smart_audit.client import new_event
from smart_audit.client.recorder.counters import Tally
from smart_audit.client.recorder.spool import Spool

LIMIT_S = 60
PROCESS = """
import json, resource, sys, time
from smart_audit.client import Client, Recorder
address, key, spool, source, first, end, limit, options = sys.argv[1:]
client = Client(address, api_key=key)
recorder = Recorder(client, spool=spool, linger_s=0.01, exit_s=20, **json.loads(options))
for n in range(int(first), int(end)):
    recorder.record("recorder.test", "u_1", source=source, metadata={"n": n})
"""


async def arrived(client, source):
    """The numbers of a source's events, in the order of the log."""
    found = [event async for event in client.events.list(f'source="{source}"')]
    found.sort(key=lambda event: event.log_index)
    return [int(event.metadata["n"]) for event in found]


def record(recorder, source, numbers):
    for n in numbers:
        recorder.record("recorder.test", "u_1", source=source, metadata={"n": n})


async def flush(recorder):
    assert await asyncio.to_thread(recorder.flush, LIMIT_S), recorder.counters


async def until(true):
    async with asyncio.timeout(LIMIT_S):
        while not true():
            await asyncio.sleep(0.01)


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def spooled(folder, source, numbers):
    """A folder as a process that was killed left it."""
    spool = Spool(folder, 1 << 20, Tally(), sync=True)
    for n in numbers:
        event = new_event("recorder.test", "u_1", source=source, metadata={"n": n})
        spool.append([event.SerializeToString()])
    spool.leave()
    (segment,) = folder.glob("*.events")
    return segment


@asynccontextmanager
async def program(
    text, address, machine, spool, source, first=0, end=100, limit=0, by=(), **options
):
    arguments = (address, machine[1].secret, spool, source, first, end, limit, json.dumps(options))
    process = await asyncio.create_subprocess_exec(
        *by, sys.executable, "-W", "ignore", "-c", PROCESS + text, *map(str, arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith(("COV", "GRPC_ENABLE"))},
    )  # fmt: skip
    async with asyncio.timeout(LIMIT_S):
        yield process
