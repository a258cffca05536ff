import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.finding.lines import Line, Times, p95, table


@pytest.mark.soak
def test_the_speed_of_search_is_measured_on_a_real_system(tmp_path):
    out = tmp_path / "speed.json"
    size = ["--events", "3000", "--rounds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.search_speed", *size, "--out", str(out)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = json.loads(out.read_text())["lines"]
    assert {line["name"] for line in lines} >= {
        "projector, from a backlog",
        "filter pages",
        "aggregates over all",
        "tail, from sending in to arrival",
        "ingest lost by projecting",
        "lag of the projection",
    }
    assert all(line["name"] in done.stdout for line in lines)


def test_the_95th_percentile_is_one_of_the_values():
    assert p95(range(1, 101)) == 95
    assert p95([3.0]) == 3.0
    assert p95([1, 2]) == 2


def test_a_line_tells_whether_its_goal_is_reached():
    times = Times({"slow": [0.2, 0.3], "fast": [0.001]})
    line = times.line("calls", 250)
    assert (line.value, line.reached) == (300.0, False)
    assert next(iter(line.details)) == "slow"
    rate = Line("rate", "events/s", 5, 4, least=True)
    assert [row[-1] for row in table([line, rate, Line("x", "s", 1)])] == ["NO", "yes", ""]
