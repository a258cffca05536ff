"""Metrics and health are served where they are asked for, and nowhere else."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from smart_audit.core import metrics
from tests.support.world import free_port


async def get(port, path):
    async with httpx.AsyncClient() as http:
        return await http.get(f"http://127.0.0.1:{port}{path}")


async def test_what_is_counted_can_be_fetched():
    port = free_port()
    async with metrics.served("127.0.0.1", port, lambda: True):
        assert "process_cpu_seconds_total" in (await get(port, "/metrics")).text
        assert (await get(port, "/")).status_code == 404
    with pytest.raises(httpx.ConnectError):
        await get(port, "/metrics")


async def test_a_process_that_is_not_ready_lives():
    port, ready = free_port(), True
    async with metrics.served("127.0.0.1", port, lambda: ready):
        assert (await get(port, "/readyz")).status_code == 200
        ready = False
        assert (await get(port, "/readyz")).status_code == 503
        assert (await get(port, "/livez")).status_code == 200


async def test_an_event_loop_that_stands_still_is_not_alive(monkeypatch):
    monkeypatch.setattr(metrics, "TURNS_WITHIN_S", 0.05)
    port = free_port()
    async with metrics.served("127.0.0.1", port, lambda: True):
        with ThreadPoolExecutor(1) as elsewhere:
            asked = elsewhere.submit(httpx.get, f"http://127.0.0.1:{port}/livez")
            # The loop stands still here until the answer is there.
            assert asked.result().status_code == 503


async def test_a_port_that_is_taken_is_named():
    port = free_port()
    async with metrics.served("127.0.0.1", port, lambda: True):
        with pytest.raises(RuntimeError, match=f"127.0.0.1:{port} .*METRICS_PORT"):
            await metrics.served("127.0.0.1", port, lambda: True).__aenter__()


async def test_without_a_port_nothing_listens():
    async with metrics.served("no such host", 0, lambda: True):
        pass
