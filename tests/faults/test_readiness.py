"""A service without its database lives and is not ready, and is ready again by itself."""

import asyncio

import httpx
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.world import free_port, running_world

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

NAMES = ("auth.v1.AuthService", "audit.v1.EventService")


def close(cluster, database, *, closed):
    """Let nobody into a database any more, whoever is there included; or let them in again."""
    allowed = "false" if closed else "true"
    with psycopg.connect(cluster.owner_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS {allowed}")
        if closed:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [database.name],
            )


async def health(channel, service=""):
    answer = await health_pb2_grpc.HealthStub(channel).Check(
        health_pb2.HealthCheckRequest(service=service)
    )
    return answer.status


async def until(status, *channels):
    async with asyncio.timeout(20):
        for channel in channels:
            while await health(channel) != status:
                await asyncio.sleep(0.05)


async def test_a_service_without_its_database_lives_and_is_not_ready(cluster):
    database, port = cluster.new_database(), free_port()

    async with (
        running_world(database, audit={"metrics_port": port}) as world,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http,
    ):
        channels = (world.auth_channel, world.audit_channel)

        async def probes():
            return [(await http.get(path)).status_code for path in ("/livez", "/readyz")]

        assert await probes() == [200, 200]
        await asyncio.to_thread(close, cluster, database, closed=True)
        try:
            await until(NOT_SERVING, *channels)
            assert await probes() == [200, 503]
            for channel, name in zip(channels, NAMES, strict=True):
                assert await health(channel, f"smart_audit.api.{name}") == NOT_SERVING
                assert await health(channel, "readiness") == NOT_SERVING
                assert await health(channel, "liveness") == SERVING
        finally:
            await asyncio.to_thread(close, cluster, database, closed=False)
        await until(SERVING, *channels)
        assert await probes() == [200, 200]
        await world.new_user()


async def test_a_connection_that_was_cut_is_no_database_that_is_gone(cluster):
    database = cluster.new_database()
    async with running_world(database) as world:
        watch = health_pb2_grpc.HealthStub(world.audit_channel).Watch(
            health_pb2.HealthCheckRequest()
        )
        assert (await watch.read()).status == SERVING
        await database.alter(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'smart-audit-audit-readiness' AND datname = %s",
            database.name,
        )

        async def asks_again():
            rows = await asyncio.to_thread(
                database.execute,
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'smart-audit-audit-readiness'",
            )
            return bool(rows)

        async with asyncio.timeout(10):
            while not await asks_again():
                await asyncio.sleep(0.1)
        # Had it said anything else meanwhile, that would be read here.
        with_nothing_new = asyncio.create_task(watch.read())
        await asyncio.sleep(0.2)
        assert not with_nothing_new.done()
        with_nothing_new.cancel()
        watch.cancel()
