import json
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks import measure, report
from benchmarks.lines import LINES
from benchmarks.measure import Benchmark, Done, Half, Pair
from benchmarks.system import System

FIGURE = {"median", "min", "max", "client_cores"}
MACHINE = {"cores": 2, "load": 0.1, "memory_gib": 8, "fsync_ms": 1}


async def test_a_line_is_measured_in_turns_after_a_round_to_warm_up():
    turns = []
    seconds = iter([9.0, 9.0, 1.0, 0.5, 2.0, 0.5, 4.0, 0.5])

    def half(name: str) -> Half:
        async def one() -> Done:
            turns.append(name)
            return Done(10, next(seconds), client_cores=0.25)

        return one

    @asynccontextmanager
    async def prepare(_: System, scale: float):
        yield Pair(half("ours"), half("limit"))

    line = Benchmark("sleep", "naps/s", "no sleep", prepare)
    result = await measure.run(line, None, rounds=3, scale=1)  # type: ignore[arg-type]

    assert turns == ["ours", "limit"] * 4
    assert result.ours == measure.Figure(median=5, min=2.5, max=10, client_cores=0.25)
    assert (result.limit.median, result.ratio, result.rounds) == (20, 0.25, 3)


def test_the_file_holds_every_line_with_its_spread(tmp_path, capsys):
    figure = measure.Figure(median=5, min=2.5, max=10, client_cores=0.25)
    result = measure.Result("sleep", "naps/s", figure, "no sleep", figure, 1.0, 3)
    report.write_json([result], MACHINE, tmp_path / "bench.json")
    report.print_table([result], MACHINE)

    assert "no sleep" in capsys.readouterr().out
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["machine"] == MACHINE
    (line,) = content["lines"]
    assert line["limit_name"] == "no sleep"
    assert line["unit"] == "naps/s"
    assert set(line["ours"]) == set(line["limit"]) == FIGURE


def test_names_of_lines_are_their_own():
    names = [line.name for line in LINES]
    assert len(set(names)) == len(names)


@pytest.mark.soak
def test_all_lines_run_on_the_real_system(tmp_path):
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "--rounds", "1", "--scale", "0.02"]
    done = subprocess.run(
        [*command, "--out", str(out)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = json.loads(out.read_text())["lines"]
    assert [line["name"] for line in lines] == [line.name for line in LINES]
    assert all(line["ratio"] > 0 and line["ours"]["min"] > 0 for line in lines)
