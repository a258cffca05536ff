"""`python -m benchmarks.recorder`: what recording costs a program while the service is killed.

A program records 1,000 events a second through the gateway; after a while all processes of audit
are killed, again and again as they are restarted, for 30 seconds. Prints how long the calls took
with the service there and away, and counts what arrived.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil

from benchmarks import machine
from benchmarks.recorder_host import SOURCES
from benchmarks.system import System, User, running_system
from smart_audit.client import AsyncClient

BEFORE_S = 15
AWAY_S = 30
AFTER_S = 15
KILL_EVERY_S = 0.25
MAX_LINE = 256 * 1024 * 1024


async def measure(system: System, rate: int) -> None:
    """Print the figures."""
    user = await system.new_user()
    await system.settled()
    address = f"127.0.0.1:{system.gateway_port}"
    with tempfile.TemporaryDirectory(dir=system.folder) as folder:
        host = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.recorder_host", address, f"{folder}/spool",
            f"--rate={rate}", f"--seconds={BEFORE_S + AWAY_S + AFTER_S}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
        assert host.stdin is not None
        assert host.stdout is not None
        host.stdin.write(f"{user.access_token}\n".encode())
        await host.stdout.readline()
        await asyncio.sleep(BEFORE_S)
        kills = await kill_audit(AWAY_S)
        await host.stdout.readline()
        figures: dict[str, Any] = json.loads(await host.stdout.readline())
        await host.wait()
        print(json.dumps(machine.describe(system)))
        print(f"killed {kills} processes of audit in {AWAY_S} s")
        report(figures["calls"])
        print({name: value for name, value in figures.items() if name != "calls"})
        await count(address, user, Path(folder) / "events.jsonl", len(figures["calls"]))


async def kill_audit(seconds: float) -> int:
    """SIGKILL to each process of audit that there is, until the time is over."""
    kills = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for process in psutil.Process(os.getpid()).children(recursive=True):
            try:
                if "smart_audit.audit" in process.cmdline():
                    process.kill()
                    kills += 1
            except psutil.NoSuchProcess:
                pass
        await asyncio.sleep(KILL_EVERY_S)
    return kills


def report(calls: list[list[float]]) -> None:
    """How long calls took, and how late the program came to make them."""
    phases: dict[str, list[list[float]]] = defaultdict(list)
    for call in calls:
        is_away = BEFORE_S <= call[0] < BEFORE_S + AWAY_S
        phases["away" if is_away else "there"].append(call)
    for name, found in phases.items():
        for what, column in (("call", 1), ("lateness", 2)):
            times = sorted(call[column] * 1e6 for call in found)
            print(
                f"{what:<8} service {name:<5} {len(times):>6}: median {median(times):7.0f} µs"
                f"   p99 {quantiles(times, n=100)[98]:7.0f} µs   max {times[-1]:8.0f} µs"
            )


async def count(address: str, user: User, path: Path, recorded: int) -> None:
    """Every event is there once, and each source's in its order."""
    async with AsyncClient(address, access_token=user.access_token, timeout_s=120) as client:
        await client.events.export(path, filter="")
    numbers = numbers_by_source(path)
    found = sum(map(len, numbers.values()))
    in_order = sum(
        numbers[f"host-{source}"] == list(range(source, recorded, SOURCES))
        for source in range(SOURCES)
    )
    print(f"{found} of {recorded} events are in the log; {in_order} of {SOURCES} sources complete, "
          "each event once and in its order")  # fmt: skip


def numbers_by_source(path: Path) -> dict[str, list[int]]:
    """What an export in the order of the log has of the program's sources."""
    numbers: dict[str, list[int]] = defaultdict(list)
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            event = json.loads(line)
            if event.get("source", "").startswith("host-"):
                numbers[event["source"]].append(int(event["metadata"]["n"]))
    return numbers


async def main() -> None:
    """Start the system, measure, stop it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorder", description=__doc__)
    parser.add_argument("--rate", type=int, default=1000, help="events a second")
    options = parser.parse_args()
    async with running_system() as system:
        await measure(system, options.rate)


if __name__ == "__main__":
    asyncio.run(main())
