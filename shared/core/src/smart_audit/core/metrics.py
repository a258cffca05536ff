"""What a process tells those who watch it, over HTTP: metrics for Prometheus, and its health.

- `/metrics`: what it counts.
- `/livez`: whether its event loop still turns. It does not ask whether the database is there: a
  process that is started again would not find it either.
- `/readyz`: whether it can be given work.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import TimeoutError as NotInTime
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import prometheus_client

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

TURNS_WITHIN_S = 5

BUILD = prometheus_client.Gauge(
    "smart_audit_build", "Always 1; the labels say what runs.", ["service", "version", "python"]
)


@asynccontextmanager
async def served(host: str, port: int, is_ready: Callable[[], bool]) -> AsyncIterator[None]:
    """Answer meanwhile, on threads of its own; port 0 serves nothing.

    Raises: RuntimeError when the port is taken.
    """
    if not port:
        yield
        return
    # A time series for each counter, to say when its process has started.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        server, thread = prometheus_client.start_http_server(port, host)
    except OSError as error:
        raise RuntimeError(
            f"metrics cannot be served on {host}:{port} ({error.strerror}); choose another "
            "METRICS_PORT, or 0 for none"
        ) from error
    server.set_app(_Pages(asyncio.get_running_loop(), is_ready))
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


class _Pages:
    """The answers, as a WSGI application."""

    def __init__(self, loop: asyncio.AbstractEventLoop, is_ready: Callable[[], bool]) -> None:
        self._loop = loop
        self._is_ready = is_ready
        self._metrics: Callable[..., Any] = prometheus_client.make_wsgi_app()

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        if path == "/livez":
            return _said(start_response, good=self._turns())
        if path == "/readyz":
            return _said(start_response, good=self._turns() and self._is_ready())
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics, /livez, /readyz\n"]

    def _turns(self) -> bool:
        """Whether the event loop does what it is asked to."""
        asked = asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop)
        try:
            asked.result(TURNS_WITHIN_S)
        except NotInTime:
            return False
        return True


def _said(start_response: "StartResponse", *, good: bool) -> list[bytes]:
    status = "200 OK" if good else "503 Service Unavailable"
    start_response(status, [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
    return [b"ok\n" if good else b"no\n"]
