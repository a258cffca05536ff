"""Where the processes of a system serve metrics, and the file that tells Prometheus of it."""

import json
from collections.abc import Iterable
from pathlib import Path

from smart_audit.stack import ports, watching
from smart_audit.stack.services import LOOPBACK, Worker

FILE = "metrics.json"


def chosen(named: str | None, spare: list[int]) -> list[int]:
    """The ports of as many processes as there are spare ones.

    named: what the setting says: the port of the first, or 0 for no metrics at all.
    Raises: ValueError when it is no port.
    """
    if not named:
        return spare
    first = int(named)
    return [first, *spare[1:]] if first else [0] * len(spare)


def write(workers: Iterable[tuple[str, Worker]], gateway_port: int, folder: Path) -> None:
    """Write all addresses as Prometheus reads them (`file_sd_configs`)."""
    found = [
        _target(worker.metrics_port, service, worker.name)
        for service, worker in workers
        if worker.metrics_port
    ]
    if gateway_port:
        path = {"__metrics_path__": watching.METRICS_PATH}
        found.append(_target(gateway_port, "gateway", "envoy", **path))
    (folder / FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _target(port: int, service: str, process: str, **more: str) -> dict[str, object]:
    labels = {"service": service, "process": process, **more}
    return {"targets": [ports.joined(LOOPBACK, port)], "labels": labels}
