"""The whole system with everything that watches it: two services as processes, and Envoy."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc.aio
import httpx
import pytest

from tests.observability.collectors import Collector, Defects, collector, defects
from tests.support.database import Cluster
from tests.support.events import event, record_batch, settled
from tests.support.gateway import Gateway, running_gateway
from tests.support.processes import Service, running_processes
from tests.support.world import User, free_port, world_over


@dataclass(frozen=True)
class Observed:
    """What runs, and where it tells of itself."""

    gateway: Gateway
    auth: Service
    audit: Service
    metrics: dict[str, str]
    """The URL of the metrics by service; of the gateway too."""
    user: User
    collector: Collector
    defects: Defects

    async def text(self, service: str) -> str:
        """What a service, or the gateway, exposes now."""
        async with httpx.AsyncClient(timeout=10) as http:
            answer = await http.get(self.metrics[service])
        assert answer.status_code == 200, answer.text
        return answer.text


def watched(traces: Collector, reports: Defects) -> dict[str, str]:
    """The settings of a service that sends all it can."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "SENTRY_DSN": reports.dsn,
    }


@pytest.fixture(scope="package")
async def observed(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Observed]:
    """Both services and Envoy, after a user has signed up and recorded something."""
    folder: Path = tmp_path_factory.mktemp("observed")
    database = cluster.new_database()
    ports = {name: free_port() for name in ("auth", "audit", "gateway")}
    metrics = {name: f"http://127.0.0.1:{port}/metrics" for name, port in ports.items()}
    metrics["gateway"] = f"http://127.0.0.1:{ports['gateway']}/stats/prometheus"
    async with (
        collector() as traces,
        defects() as reports,
        running_processes(
            database,
            folder,
            auth={"AUTH_METRICS_PORT": str(ports["auth"]), **watched(traces, reports)},
            audit={"AUDIT_METRICS_PORT": str(ports["audit"]), **watched(traces, reports)},
        ) as (auth, (audit,)),
        grpc.aio.insecure_channel(f"127.0.0.1:{auth.port}") as auth_channel,
        grpc.aio.insecure_channel(f"127.0.0.1:{audit.port}") as audit_channel,
    ):
        world = world_over(database, (auth.port, audit.port), auth_channel, audit_channel)
        async with running_gateway(
            world, metrics_port=ports["gateway"], otlp_endpoint=traces.endpoint
        ) as gateway:
            user = await world.signed_up()
            await record_batch(world, user, [event() for _ in range(5)])
            await settled(world, user)
            headers = {"authorization": f"Bearer {user.access_token}"}
            assert (await gateway.http.get("/v1/events", headers=headers)).status_code == 200
            yield Observed(gateway, auth, audit, metrics, user, traces, reports)
