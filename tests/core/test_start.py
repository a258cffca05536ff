"""What keeps a service from starting, each with one clear sentence."""

import asyncio
import base64
import os
import sys

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support.world import running_world


async def run(*arguments, **environment):
    """Run a service's command line: (exit code, what it said)."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AUTH_", "AUDIT_", "ENV"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env={**clean, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, output.decode().strip()


async def test_an_unknown_verb_gets_the_usage():
    code, said = await run("smart_audit.auth", "dance")
    assert (code, said) == (2, "usage: python -m smart_audit.auth serve|migrate")


async def test_a_missing_setting_is_named():
    code, said = await run("smart_audit.audit", "serve")
    assert (code, said) == (1, "AUDIT_DATABASE_URL: Field required")


async def test_a_bad_key_is_named_with_the_remedy():
    code, said = await run(
        "smart_audit.auth",
        "serve",
        AUTH_DATABASE_URL="postgresql:///x",
        AUTH_KEY_ENCRYPTION_KEY="short",
    )
    assert code == 1
    assert said.startswith("AUTH_KEY_ENCRYPTION_KEY: ")
    assert "openssl rand -base64 32" in said


async def test_production_refuses_the_development_key():
    code, said = await run(
        "smart_audit.auth", "serve", AUTH_DATABASE_URL="postgresql:///x", ENV="production"
    )
    assert code == 1
    assert "ENV=production needs AUTH_KEY_ENCRYPTION_KEY" in said


async def test_an_unreachable_database_is_one_sentence():
    url = "postgresql://nobody:very-secret@127.0.0.1:1/x"
    code, said = await run("smart_audit.auth", "serve", AUTH_DATABASE_URL=url)
    assert code == 1
    assert said.startswith("auth cannot reach its database: ")
    assert "\n" not in said
    assert "very-secret" not in said


async def test_an_unmigrated_database_says_so(cluster):
    database = cluster.empty_database()
    for service in ("auth", "audit"):
        url = {f"{service.upper()}_DATABASE_URL": database.service_url(service)}
        code, said = await run(f"smart_audit.{service}", "serve", **url)
        assert code == 1
        assert said.endswith("run `migrate` first")
        assert "\n" not in said


async def test_migrate_needs_the_owners_address(cluster):
    url = cluster.empty_database().service_url("auth")
    code, said = await run("smart_audit.auth", "migrate", AUTH_DATABASE_URL=url)
    assert code == 1
    assert said.startswith("AUTH_MIGRATION_DATABASE_URL: ")


async def test_migrating_again_changes_nothing(cluster):
    database = cluster.new_database()
    for service in ("auth", "audit"):
        prefix = service.upper()
        code, said = await run(
            f"smart_audit.{service}",
            "migrate",
            **{
                f"{prefix}_DATABASE_URL": database.service_url(service),
                f"{prefix}_MIGRATION_DATABASE_URL": database.owner_url,
            },
        )
        assert (code, said) == (0, "")


async def test_another_key_than_the_databases_own_stops_the_start(cluster):
    database = cluster.new_database()
    async with running_world(database):
        pass
    other = base64.b64encode(b"another key, just as long: 32 B.").decode()
    for service in ("auth", "audit"):
        prefix = service.upper()
        code, said = await run(
            f"smart_audit.{service}",
            "serve",
            **{
                f"{prefix}_DATABASE_URL": database.service_url(service),
                f"{prefix}_KEY_ENCRYPTION_KEY": other,
                f"{prefix}_PORT": "0",
            },
        )
        assert code == 1
        assert "sealed under another key-encryption key" in said
        assert "\n" not in said


async def test_a_taken_port_is_one_sentence(cluster, world):
    code, said = await run(
        "smart_audit.audit",
        "serve",
        AUDIT_DATABASE_URL=world.database.service_url("audit"),
        AUDIT_PORT=str(world.audit_port),
    )
    assert code == 1
    assert str(world.audit_port) in said.splitlines()[-1]
    assert "Traceback" not in said


@pytest.mark.parametrize("service", ["auth", "audit"])
async def test_health_and_reflection_need_no_token(world, service):
    port = {"auth": world.auth_port, "audit": world.audit_port}[service]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for reply in reflection.ServerReflectionInfo(iter([request])):
            names = {one.name for one in reply.list_services_response.service}
            assert any(name.startswith(f"smart_audit.api.{service}.v1.") for name in names)
            assert "grpc.health.v1.Health" in names
            break
