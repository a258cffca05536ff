"""Metrics are served where they are asked for, and nowhere else."""

import httpx
import pytest

from smart_audit.core import metrics
from tests.support.world import free_port


def test_what_is_counted_can_be_fetched():
    port = free_port()
    with metrics.served("127.0.0.1", port):
        answer = httpx.get(f"http://127.0.0.1:{port}/metrics")
        assert "process_cpu_seconds_total" in answer.text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/metrics")


def test_a_port_that_is_taken_is_named():
    port = free_port()
    with (
        metrics.served("127.0.0.1", port),
        pytest.raises(RuntimeError, match=f"127.0.0.1:{port} .*METRICS_PORT"),
        metrics.served("127.0.0.1", port),
    ):
        pass


def test_without_a_port_nothing_listens():
    with metrics.served("no such host", 0):
        pass
