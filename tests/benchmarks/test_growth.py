import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.soak
def test_growth_is_measured_on_real_systems(tmp_path):
    out = tmp_path / "growth.json"
    size = ["--events", "20000", "--chunks", "2", "--proofs", "20"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", *size, "--out", str(out)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    assert json.loads(done.stdout) == result
    assert result["ingest"]["ratio"] > 0
    assert result["proofs"]["large_served_ms"]["p99"] > 0
