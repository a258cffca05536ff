"""Speaks HTTP with Envoy: with its listener, and with its admin interface on a unix socket."""

import asyncio
import http.client
import socket
from contextlib import closing
from http import HTTPStatus
from pathlib import Path

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


class Admin:
    """Envoy's admin interface. Every call raises OSError when Envoy does not answer."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def total(self, statistic: str) -> int:
        """Sum the counters and gauges whose names end in `.statistic`."""
        text = self._ask("GET", rf"/stats?filter=\.{statistic}$")
        return sum(int(line.rpartition(":")[2]) for line in text.splitlines() if ":" in line)

    def start_drain(self) -> None:
        """Tell clients to connect anew elsewhere, while requests under way go on."""
        self._ask("POST", "/drain_listeners?graceful")

    def _ask(self, method: str, path: str) -> str:
        with closing(_UnixConnection(self._path)) as connection:
            return _answer(connection, method, path)[1]


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
