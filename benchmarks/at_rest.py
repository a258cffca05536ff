"""`python -m benchmarks.at_rest`: how soon a start ends in a login, and what is held at rest.

An installed system whose database is there is started by `smart-audit up`, as a person would. The
time is that from the command to the answer to a login by password; the memory that of auth, audit
and Envoy (VmRSS of each, pages that they share counted each time) after a rest.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psutil

from benchmarks.system import PASSWORD
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.ports import free_ports

ROUNDS, REST_S = 5, 20.0
_LIMIT_S = 60.0
_MIB = 2**20
_SEEN = ("auth-0", "audit-0", "envoy")


def _started(folder: Path) -> tuple[subprocess.Popen[bytes], float]:
    """A running system, and the seconds until it had answered a login."""
    gateway, auth, audit = map(str, free_ports(3, taken=set()))
    ports = ["--port", gateway, "--auth-port", auth, "--audit-port", audit]
    command = [sys.executable, "-m", "smart_audit.cli", "up", *ports]
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    # Of nobody, which takes as long: wrong passwords of one person would have to wait.
    body = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway}") as client:
        while time.monotonic() - begun < _LIMIT_S and process.poll() is None:
            with suppress(httpx.TransportError):
                if client.post("/auth/login", json=body).status_code == httpx.codes.UNAUTHORIZED:
                    return process, time.monotonic() - begun
            time.sleep(0.02)
    process.kill()
    raise RuntimeError(f"no login within {_LIMIT_S:.0f} s")


def _measure(folder: Path) -> tuple[float, list[float]]:
    process, took_s = _started(folder)
    try:
        time.sleep(REST_S)
        processes = DataDir(folder / ".smart-audit").read_state()["processes"]
        held = [psutil.Process(processes[name]).memory_info().rss / _MIB for name in _SEEN]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(_LIMIT_S)
    return took_s, held


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.at_rest")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    os.environ.pop("DATABASE_URL", None)
    with tempfile.TemporaryDirectory(prefix="smart-audit-rest-") as folder:
        _measure(Path(folder))  # makes the database
        rounds = [_measure(Path(folder)) for _ in range(options.rounds)]
    times = sorted(took_s for took_s, _ in rounds)
    held = [statistics.median(each) for each in zip(*(held for _, held in rounds), strict=True)]
    shown = ", ".join(f"{name} {mib:.0f}" for name, mib in zip(_SEEN, held, strict=True))
    print(
        f"to the first login: {statistics.median(times):.1f} s ({times[0]:.1f} to {times[-1]:.1f})"
    )
    print(f"at rest: {shown}: {sum(held):.0f} MiB, {sum(held) * _MIB / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
