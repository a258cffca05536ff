"""`python -m benchmarks.search_speed`: how fast a large log is found, counted and followed.

It fills one organisation's log with the trail of a made-up company, waits for the projection, and
measures part by part. Prints the table and writes it, with what each line is made of, as JSON.
"""

import os

# The stack starts its processes beside channels that are open: gRPC's own handlers of fork() would
# only complain. Before grpc.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.finding import counting, filtering, lines, projecting, searching, tailing
from benchmarks.finding.large_log import LargeLog, large_log
from benchmarks.finding.lines import Line
from benchmarks.report import PIPE_WIDTH
from benchmarks.system import running_system
from smart_audit.stack.problem import Problem

DEFAULT_EVENTS = 1_000_000
DEFAULT_ROUNDS = 5

Part = Callable[[LargeLog, int], Awaitable[list[Line]]]

# What appends to the log comes last.
PARTS: dict[str, Part] = {
    "filter": filtering.measure,
    "search": searching.measure,
    "aggregate": counting.measure,
    "tail": tailing.measure,
    "projector": projecting.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_speed", description=__doc__)
    parser.add_argument("--events", type=int, default=DEFAULT_EVENTS, help="size of the log")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help="of each measurement")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by commas")
    parser.add_argument(
        "--out", type=Path, default=Path("search_speed.json"), help="where to write"
    )
    options = parser.parse_args(arguments)
    unknown = set(options.only.split(",")) - PARTS.keys()
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            found, measured = runner.run(_measure(options))
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    _print(found, measured)
    content = {"machine": found, "lines": [asdict(line) for line in measured]}
    options.out.write_text(json.dumps(content, indent=2) + "\n")
    return 0


async def _measure(options: argparse.Namespace) -> tuple[dict[str, object], list[Line]]:
    async with running_system() as system:
        found = machine.describe(system) | {"events": options.events}
        started = perf_counter()
        _say(f"filling a log with {options.events:,} events …")
        async with large_log(system, options.events) as (log, drained):
            found["filled_s"] = round(perf_counter() - started)
            measured = [projecting.drained(drained)]
            for name, part in PARTS.items():
                if name in options.only.split(","):
                    _say(f"measuring {name} …")
                    measured += await part(log, options.rounds)
        found["load_after"] = round(os.getloadavg()[0], 1)
    return found, measured


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _print(found: Mapping[str, object], measured: Sequence[Line]) -> None:
    table = Table(
        caption=f"{found['events']:,} events; {found['cores']} cores, {found['memory_gib']} GiB, "
        f"load {found['load']} before the start and {found['load_after']} after the end"
    )
    for name in ("line", "measured", "unit", "goal", "reached"):
        table.add_column(name, justify="right" if name in ("measured", "goal") else "left")
    for row in lines.table(measured):
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
