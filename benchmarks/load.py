"""The load: callers that send prepared requests, each the next one once the last is answered.

Requests are encoded before the clock starts and answers are looked at after it stopped, so that
the client's own work, on the same machine, weighs as little as possible.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import takewhile
from typing import cast

import grpc.aio

HALF_S = 2.0  # of sending in half a round, so that a slow machine takes no longer
LIMIT_S = 60.0
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "

Call = Callable[[bytes], Awaitable[bytes]]


def raw_call(channel: grpc.aio.Channel, method: str, token: str = "") -> Call:
    """A unary method that takes and gives encoded messages."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def send(request: bytes) -> bytes:
        return await call(request, metadata=metadata, timeout=LIMIT_S)

    return send


async def send_all(call: Call, requests: Sequence[bytes], callers: int) -> list[bytes]:
    """Send requests, `callers` at a time, until all are sent or HALF_S is over; gives the answers.

    Raises: what a call raises.
    """
    waiting = _until_time_is_up(requests)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_send_each(call, waiting)) for _ in range(callers)]
    return [answer for task in tasks for answer in task.result()]


def _until_time_is_up(requests: Sequence[bytes]) -> Iterator[bytes]:
    until = time.perf_counter() + HALF_S
    return takewhile(lambda _: time.perf_counter() < until, requests)


async def _send_each(call: Call, waiting: Iterator[bytes]) -> list[bytes]:
    return [await call(request) for request in waiting]


def http_post(path: str, token: str, body: bytes) -> bytes:
    """A POST of JSON, as bytes on the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def http_send_all(port: int, requests: Sequence[bytes], callers: int) -> list[bytes]:
    """Send requests as `send_all` does, over `callers` keep-alive connections.

    Raises: RuntimeError for an answer other than 200, or a lost connection.
    """
    loop = asyncio.get_running_loop()
    waiting = _until_time_is_up(requests)
    connections = [
        (await loop.create_connection(lambda: _Connection(waiting), "127.0.0.1", port))[1]
        for _ in range(callers)
    ]
    for connection in connections:
        connection.send_next()
    async with asyncio.timeout(LIMIT_S):
        answers = await asyncio.gather(*(connection.done for connection in connections))
    return [body for bodies in answers for body in bodies]


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length, which is all that a load client needs."""

    def __init__(self, waiting: Iterator[bytes]) -> None:
        self._waiting = waiting
        self._received = b""
        self._bodies: list[bytes] = []
        self.done: asyncio.Future[list[bytes]] = asyncio.Future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def send_next(self) -> None:
        """Send a request if one waits, or hang up."""
        request = next(self._waiting, None)
        if request is not None:
            self._transport.write(request)
        else:
            self.done.set_result(self._bodies)
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end:
            return
        start = head.find(_LENGTH)
        if not head.startswith(b"HTTP/1.1 200") or start < 0:
            self._fail(self._received[:500].decode(errors="replace"))
        elif len(body) >= int(head[start + len(_LENGTH) :].partition(b"\r\n")[0]):
            self._bodies.append(body)
            self._received = b""
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was lost: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))
            self._transport.abort()
