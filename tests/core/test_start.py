"""What keeps a service from starting, each with one clear sentence."""

import asyncio
import base64
import importlib
import os
import sys
from functools import partial

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from smart_audit.auth.settings import AuthSettings
from smart_audit.core import logs
from tests.support.world import running_world


def run(monkeypatch, capsys, service, *arguments, **environment):
    """Run a service's command line in this process: (exit code, what it said)."""
    for name in [name for name in os.environ if name.startswith(("AUTH_", "AUDIT_", "ENV"))]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", [service, *arguments])
    main = importlib.import_module(f"smart_audit.{service}.__main__").main
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    try:
        main()
    except SystemExit as done:
        code = done.code
        said = code if isinstance(code, str) else capsys.readouterr().err.strip()
        return 1 if isinstance(code, str) else code, said
    return 0, capsys.readouterr().err.strip()


@pytest.fixture
def start(monkeypatch, capsys):
    return partial(run, monkeypatch, capsys)


def test_an_unknown_verb_gets_the_usage(start):
    code, said = start("auth", "dance")
    assert code == 2
    assert said.startswith("usage: python -m smart_audit.auth serve|migrate|")


def test_a_missing_setting_is_named(start):
    code, said = start("audit", "serve")
    assert (code, said) == (1, "AUDIT_DATABASE_URL: Field required")


@pytest.mark.parametrize("name", ["AUTH_DATABASE_URL", "AUTH_MIGRATION_DATABASE_URL"])
@pytest.mark.parametrize("url", ["postgres//a:s3cret@db/x", "postgresql://a:s3cret%zz@db/x"])
def test_a_malformed_url_of_a_database_is_named_and_not_told(start, name, url):
    settings = {"AUTH_DATABASE_URL": "postgresql:///x", name: url}
    code, said = start("auth", "migrate", **settings)
    assert code == 1
    assert said.startswith(f"{name}: Value error, must be a postgresql:// URL")
    assert "s3cret" not in said


def test_a_bad_key_is_named_with_the_remedy(start):
    code, said = start(
        "auth",
        "serve",
        AUTH_DATABASE_URL="postgresql:///x",
        AUTH_KEY_ENCRYPTION_KEY="short",
    )
    assert code == 1
    assert said.startswith("AUTH_KEY_ENCRYPTION_KEY: ")
    assert "openssl rand -base64 32" in said


def test_production_refuses_the_development_key(start):
    code, said = start("auth", "serve", AUTH_DATABASE_URL="postgresql:///x", ENV="production")
    assert code == 1
    assert "ENV=production needs AUTH_KEY_ENCRYPTION_KEY" in said


def test_a_secret_in_a_file_wins_over_the_environment(start, tmp_path):
    (tmp_path / "AUTH_KEY_ENCRYPTION_KEY").write_text("short\n")
    settings = {"AUTH_DATABASE_URL": "postgresql:///x", "SECRETS_DIR": str(tmp_path)}
    settings["AUTH_KEY_ENCRYPTION_KEY"] = base64.b64encode(bytes(range(32))).decode()
    code, said = start("auth", "serve", **settings)
    assert code == 1
    assert said.startswith("AUTH_KEY_ENCRYPTION_KEY: ")
    code, said = start("auth", "serve", **settings | {"SECRETS_DIR": str(tmp_path / "none")})
    assert (code, said) == (1, f"SECRETS_DIR: {tmp_path / 'none'} is no folder")


def test_an_unreachable_database_is_one_sentence(start):
    url = "postgresql://nobody:very-secret@127.0.0.1:1/x"
    code, said = start("auth", "serve", AUTH_DATABASE_URL=url)
    assert code == 1
    assert said.startswith("auth cannot reach its database: ")
    assert "\n" not in said
    assert "very-secret" not in said


def test_an_unmigrated_database_says_so(start, cluster):
    database = cluster.empty_database()
    for service in ("auth", "audit"):
        url = {f"{service.upper()}_DATABASE_URL": database.service_url(service)}
        code, said = start(service, "serve", **url)
        assert code == 1
        assert said.endswith("run `migrate` first")
        assert "\n" not in said


def test_migrate_needs_the_owners_address(start, cluster):
    url = cluster.empty_database().service_url("auth")
    code, said = start("auth", "migrate", AUTH_DATABASE_URL=url)
    assert code == 1
    assert said.startswith("AUTH_MIGRATION_DATABASE_URL: ")


def test_migrating_again_changes_nothing(start, cluster):
    database = cluster.new_database()
    for service in ("auth", "audit"):
        prefix = service.upper()
        code, said = start(
            service,
            "migrate",
            **{
                f"{prefix}_DATABASE_URL": database.service_url(service),
                f"{prefix}_MIGRATION_DATABASE_URL": database.owner_url,
            },
        )
        assert (code, said) == (0, "")


def test_another_key_than_the_databases_own_stops_the_start(start, cluster):
    database = cluster.new_database()

    async def first_start():
        async with running_world(database):
            pass

    asyncio.run(first_start())
    other = base64.b64encode(b"another key, just as long: 32 B.").decode()
    for service in ("auth", "audit"):
        prefix = service.upper()
        code, said = start(
            service,
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


def test_a_taken_port_is_one_sentence(start, cluster, world):
    code, said = start(
        "audit",
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


@pytest.mark.parametrize(("given", "seconds"), [("1800", 1800), ("PT30M", 1800), ("00:00:10", 10)])
def test_a_duration_is_seconds_or_iso_8601(monkeypatch, given, seconds):
    monkeypatch.setenv("AUTH_ACCESS_TOKEN_LIFETIME", given)
    settings = AuthSettings(database_url="postgresql:///x")
    assert settings.access_token_lifetime.total_seconds() == seconds


def test_a_migration_without_the_rights_is_one_sentence(start, cluster):
    database = cluster.empty_database()
    with database.connect() as connection:
        connection.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    code, said = start(
        "audit",
        "migrate",
        AUDIT_DATABASE_URL=database.service_url("audit"),
        AUDIT_MIGRATION_DATABASE_URL=database.owner_url,
    )
    assert code == 1
    assert said.startswith("audit cannot be migrated: ")
    assert "read-only" in said
    assert "\n" not in said
