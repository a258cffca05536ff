"""What a process counts, for Prometheus to fetch."""

from collections.abc import Iterator
from contextlib import contextmanager

import prometheus_client


@contextmanager
def served(host: str, port: int) -> Iterator[None]:
    """Answer `GET /metrics` meanwhile, on a thread of its own; port 0 serves nothing.

    Raises: RuntimeError when the port is taken.
    """
    if not port:
        yield
        return
    try:
        server, thread = prometheus_client.start_http_server(port, host)
    except OSError as error:
        raise RuntimeError(
            f"metrics cannot be served on {host}:{port} ({error.strerror}); choose another "
            "METRICS_PORT, or 0 for none"
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
