"""Workers come and go, and a gateway takes the place of another one: no client may notice."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, contextmanager

import httpx
import pytest

from smart_audit.stack.datadir import DataDir
from smart_audit.stack.edge import Edge
from smart_audit.stack.health import wait_until_healthy
from smart_audit.stack.services import Worker
from smart_audit.stack.supervisor import Supervisor
from tests.stack.gateways import bearer, running_worker, settings
from tests.stack.running import free_port


@contextmanager
def worker(service, **slow):
    with running_worker(service, **slow) as port:
        yield Worker(f"{service}-0", "127.0.0.1", port, 0)


class System:
    """A gateway before one worker of each service."""

    def __init__(self, edge, auth, url):
        self.edge = edge
        self.auth = auth
        self._url = url

    @asynccontextmanager
    async def asked(self):
        """Yields how often each answer came; asked on and on meanwhile."""
        seen: Counter[str] = Counter()
        asking = asyncio.create_task(self._ask_on(seen))
        yield seen
        assert not asking.done(), asking
        asking.cancel()
        assert seen["200"] > 10

    async def _ask_on(self, seen):
        # A connection of its own each time: who listens last is asked at once.
        async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0)) as client:
            while True:
                try:
                    answer = await client.get(f"{self._url}/auth/me", headers=bearer())
                    seen[str(answer.status_code)] += 1
                except httpx.HTTPError as error:
                    seen[repr(error)] += 1
                await asyncio.sleep(0.01)


@pytest.fixture
async def system(tmp_path):
    data, port, said = DataDir(tmp_path), free_port(), []
    data.run.mkdir()
    data.logs.mkdir()
    supervisor = Supervisor(said.append)
    with worker("auth") as auth, worker("audit") as audit:
        common = settings(tmp_path, port, auth.address, audit.address)
        edge = Edge(common, data, tmp_path, supervisor)
        await edge.start({"auth": [auth], "audit": [audit]})
        await wait_until_healthy({"envoy": edge.check()}, supervisor, data)
        yield System(edge, auth, f"http://127.0.0.1:{port}")
        await edge.stop()
        await supervisor.stop_all()
    assert not said, "something had to be started again"


async def test_no_token_is_refused_while_auth_is_slow_to_give_its_keys(system):
    with worker("auth", keys_take_s=3.0) as slow:
        await system.edge.lead_to("auth", [slow], leaving=system.auth)
        async with system.asked() as seen:
            await system.edge.replace()
            await asyncio.sleep(1.0)
    assert set(seen) == {"200"}


async def test_who_leaves_serves_until_another_one_is_known_to(system):
    async with system.asked() as seen:
        with worker("auth") as other:
            for _ in range(20):
                await system.edge.lead_to("auth", [other], leaving=system.auth)
                await system.edge.lead_to("auth", [system.auth], leaving=other)
    assert set(seen) == {"200"}
