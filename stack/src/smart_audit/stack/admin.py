"""Speaks HTTP with Envoy: with its listener, and with its admin interface on a unix socket."""

import asyncio
import http.client
import json
import socket
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

_ANSWER_LIMIT_S = 2.0
_DRAIN_LIMIT_S = 10.0
_DRAIN_ASK_AGAIN_S = 0.05


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
    """A worker, as the gateway sees it: whether it gets calls, and how many it is at."""

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
            return _answer(connection, method, path)[1]


def _seen(host: dict[str, Any]) -> Seen:
    numbers = {one["name"]: int(one.get("value", 0)) for one in host["stats"]}
    return Seen(host["health_status"] == {"eds_health_status": "HEALTHY"}, numbers["rq_active"])


def answers_ok(host: str, port: int, path: str) -> bool:
    """Say whether a GET is answered with 200. Raises: OSError when nothing answers."""
    with closing(http.client.HTTPConnection(host, port, timeout=_ANSWER_LIMIT_S)) as connection:
        return _answer(connection, "GET", path)[0] == HTTPStatus.OK


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


def _answer(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, str]:
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
