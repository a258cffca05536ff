"""Speaks HTTP with Envoy's admin interface, on a unix socket.

Run as a program with the socket's path, it exits with 0 if the gateway serves.
"""

import asyncio
import http.client
import json
import socket
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ANSWER_LIMIT_S = 2.0
_DRAIN_LIMIT_S = 10.0
_DRAIN_ASK_AGAIN_S = 0.05
_EJECTED = "failed_outlier_check"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=_ANSWER_LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker, as the gateway sees it: whether calls are led to it, and how many it is at."""

    serves: bool
    calls: int


class Admin:
    """Envoy's admin interface. Every call raises OSError when Envoy does not answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def total(self, statistic: str) -> int:
        """Sum the counters and gauges whose names end in `.statistic`."""
        text = self._ask("GET", rf"/stats?filter=\.{statistic}$")
        return sum(int(line.rpartition(":")[2]) for line in text.splitlines() if ":" in line)

    def is_live(self) -> bool:
        """Say whether it serves, and is not about to leave its place to another."""
        return self._ask("GET", "/ready").strip() == "LIVE"

    def workers(self, cluster: str) -> dict[int, Seen]:
        """What the gateway knows of a service's workers on this machine, by their ports."""
        found = json.loads(self._ask("GET", "/clusters?format=json"))
        (one,) = [one for one in found["cluster_statuses"] if one["name"] == cluster]
        return {
            host["address"]["socket_address"]["port_value"]: _seen(host)
            for host in one.get("host_statuses", ())
        }

    def start_drain(self) -> None:
        """Tell clients to connect anew elsewhere, while requests under way go on."""
        self._ask("POST", "/drain_listeners?graceful")

    def _ask(self, method: str, path: str) -> str:
        with closing(_UnixConnection(self._path)) as connection:
            return _answer(connection, method, path)


def _seen(host: dict[str, Any]) -> Seen:
    numbers = {one["name"]: int(one.get("value", 0)) for one in host["stats"]}
    # Who is left alone for a while because of its failures is on the list all the same.
    health = {key: value for key, value in host["health_status"].items() if key != _EJECTED}
    return Seen(health == {"eds_health_status": "HEALTHY"}, numbers["rq_active"])


async def drain(admin: Admin) -> None:
    """Let requests under way finish, for ten seconds at most; never fails."""
    try:
        async with asyncio.timeout(_DRAIN_LIMIT_S):
            await asyncio.to_thread(admin.start_drain)
            active = "ingress.downstream_rq_active"
            while await asyncio.to_thread(admin.total, active):  # noqa: ASYNC110
                await asyncio.sleep(_DRAIN_ASK_AGAIN_S)
    except OSError:
        return  # Envoy is gone already, or a client holds on: it is stopped either way


def _answer(connection: http.client.HTTPConnection, method: str, path: str) -> str:
    try:
        connection.request(method, path)
        return connection.getresponse().read().decode()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error


if __name__ == "__main__":
    sys.exit(not Admin(Path(sys.argv[1])).is_live())
