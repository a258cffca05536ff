"""`python -m benchmarks`: measure, print the table, write bench.json."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from benchmarks import machine, measure, report
from benchmarks.lines import LINES
from benchmarks.system import running_system
from smart_audit.stack.problem import Problem

DEFAULT_ROUNDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_measure(options))
    except Problem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="lines whose name has TEXT")
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help="rounds of each line")
    parser.add_argument("--scale", type=float, default=1.0, help="work in a round, for trials")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="where to write")
    return parser


async def _measure(options: argparse.Namespace) -> None:
    task = asyncio.current_task()
    assert task is not None
    # Ctrl-C cancels already; a polite kill has to clean up as well.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    chosen = [line for line in LINES if options.only in line.name]
    if not chosen:
        raise Problem(
            f"No line has {options.only!r}; there are: " + "; ".join(x.name for x in LINES)
        )
    async with running_system() as system:
        found = machine.describe(system)
        results = []
        for line in chosen:
            print(f"measuring {line.name} …", file=sys.stderr, flush=True)
            results.append(await measure.run(line, system, options.rounds, options.scale))
    report.print_table(results, found)
    report.write_json(results, found, options.out)


if __name__ == "__main__":
    sys.exit(main())
