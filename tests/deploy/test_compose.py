"""The containers, without an engine: the compose file's wiring, the Dockerfiles' steps, the scripts
they run, and the database that init.sql makes, on a real Postgres with the compose file's own
environments."""

import asyncio
import os
import re
import sys
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml

from smart_audit.core.settings import DEVELOPMENT_KEY
from smart_audit.stack.postgres import binary
from tests.deploy.test_env_example import of_gateway, of_service
from tests.stack.running import outside_postgres
from tests.support import forks
from tests.support.processes import until_serving
from tests.support.world import ISSUER, free_port

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::-([^}]*))?\}")
DOCKERFILES = {
    "auth": "services/auth/Dockerfile",
    "audit": "services/audit/Dockerfile",
    "gateway": "gateway/Dockerfile",
}
# The gateway takes tokens of one audience only.
FIXED = {"AUTH_AUDIENCE", "AUDIT_AUDIENCE"}
# Where a container reaches the others by name.
PLACES = re.compile(r"\b(db|auth|audit):\d+")


@pytest.fixture(scope="session")
def services():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def environment(service):
    """What a container gets when nothing is set: names without a value are left out."""
    return {
        name: VARIABLE.sub(lambda match: match[2], str(value))
        for name, value in service["environment"].items()
        if value is not None
    }


def steps(dockerfile):
    """The instructions of a Dockerfile: (word, rest), continued lines joined."""
    lines = (ROOT / dockerfile).read_text().splitlines()
    text = "\n".join(line for line in lines if not line.strip().startswith("#"))
    joined = text.replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1) for line in joined if line.strip()]


async def ended_well(*command, env):
    """Run a command to its end, which must be a good one."""
    process = await asyncio.create_subprocess_exec(*command, env=env)
    assert await process.wait() == 0


def is_sent(path):
    """Whether .dockerignore lets a path into the build context."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        parts = Path(path).parts
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        if line and not line.startswith("#") and any(fnmatch(one, pattern) for one in above):
            sent = line.startswith("!")
    return sent


def test_nothing_has_to_be_set():
    text = (ROOT / "docker-compose.yml").read_text()
    assert [name for name, default in VARIABLE.findall(text) if not default] == []


@pytest.mark.parametrize("name", ["auth", "audit"])
def test_a_service_gets_its_settings_and_no_others(services, name):
    prefix = f"{name.upper()}_"
    migration = f"{prefix}MIGRATION_DATABASE_URL"
    serving, migrating = services[name], services[f"{name}-migrate"]
    assert set(serving["environment"]) == of_service(prefix) - FIXED - {migration}
    assert set(migrating["environment"]) == set(serving["environment"]) | {migration}
    assert serving["environment"].items() <= migrating["environment"].items()
    assert migrating["command"] == ["migrate"]
    assert environment(serving)[f"{prefix}KEY_ENCRYPTION_KEY"] == DEVELOPMENT_KEY
    assert environment(serving)["ENV"] == "development"


def test_the_gateway_gets_its_settings_and_the_issuer_of_the_services(services):
    found = environment(services["gateway"])
    assert set(found) == of_gateway()
    issuers = {
        environment(services["auth"])["AUTH_ISSUER"],
        environment(services["audit"])["AUDIT_ISSUER"],
    }
    assert issuers == {found["GATEWAY_ISSUER"]}


def test_each_place_is_a_service_that_listens_there(services):
    listening = {"db:5432"}
    for name in ("auth", "audit"):
        listening.add(f"{name}:{environment(services[name])[f'{name.upper()}_PORT']}")
    for service in services.values():
        for name, value in environment(service).items():
            for match in PLACES.finditer(value):
                assert match[0] in listening, name


def test_everything_starts_in_order_and_listens_on_loopback_only(services):
    order = {
        "auth-migrate": {"db": "service_healthy"},
        "audit-migrate": {"auth-migrate": "service_completed_successfully"},
        "auth": {"auth-migrate": "service_completed_successfully"},
        "audit": {"audit-migrate": "service_completed_successfully"},
        "gateway": {"auth": "service_healthy", "audit": "service_healthy"},
    }
    needs = {
        name: {other: how["condition"] for other, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    assert needs == {"db": {}} | order
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_database_is_an_image_with_pgvector_that_runs_our_sql(services):
    db = services["db"]
    assert db["image"] == "pgvector/pgvector:pg18"
    mounts = [mount.split(":") for mount in db["volumes"]]
    (script,) = [source for source, *_ in mounts if source.startswith("./")]
    assert (ROOT / script).is_file()
    assert "pg_isready" in db["healthcheck"]["test"]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_copies_what_is_there_and_sent(services, name):
    assert services[name]["build"] == {"context": ".", "dockerfile": DOCKERFILES[name]}
    own = [rest for word, rest in steps(DOCKERFILES[name]) if word == "COPY"]
    sources = [source for rest in own if "--from" not in rest for source in rest.split()[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source.rstrip("/")), source
    assert not is_sent(".env")
    assert not is_sent(".smart-audit/secrets.json")


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_installs_members_pinned_packages_and_runs_as_nobody(name):
    found = steps(DOCKERFILES[name])
    runs = " ".join(rest for word, rest in found if word == "RUN")
    members = re.findall(r" \./(\S+)", runs)
    assert members
    for member in members:
        assert (ROOT / member / "pyproject.toml").is_file()
    assert "--require-hashes -r requirements/runtime.txt" in runs
    assert "--no-deps --no-build-isolation" in runs
    assert [rest for word, rest in found if word == "FROM"] == [
        "python:3.12-slim AS build",
        "python:3.12-slim",
    ]
    words = dict(found)
    assert words["USER"] == "smart-audit"
    assert "HEALTHCHECK" in words


@pytest.mark.parametrize("name", ["auth", "audit"])
def test_the_entry_point_of_a_service_is_its_command_line(services, name):
    words = dict(steps(DOCKERFILES[name]))
    assert words["ENTRYPOINT"] == f'["python", "-m", "smart_audit.{name}"]'
    assert words["CMD"] == '["serve"]'
    assert find_spec(f"smart_audit.{name}.__main__")
    assert words["EXPOSE"] == environment(services[name])[f"{name.upper()}_PORT"]


@pytest.mark.parametrize("service", ["auth", "audit"])
async def test_the_health_check_tells_a_serving_port_from_a_dead_one(world, service):
    serving = world.auth_port if service == "auth" else world.audit_port
    for port, code in ((serving, 0), (free_port(), 1)):
        script = str(ROOT / "deploy" / "docker" / "health.py")
        check = await asyncio.create_subprocess_exec(
            sys.executable, script, f"127.0.0.1:{port}", stderr=asyncio.subprocess.DEVNULL
        )
        assert await check.wait() == code


async def test_the_gateways_script_becomes_envoy(world, tmp_path):
    port = free_port()
    bin_dir = Path(sys.executable).parent
    script = str(ROOT / "deploy" / "docker" / "gateway.sh")
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "sh",
            script,
            env={
                "PATH": f"{bin_dir}:{os.environ['PATH']}",
                "GATEWAY_RUN_DIR": str(tmp_path),
                "GATEWAY_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
                "GATEWAY_AUTH_ENDPOINTS": f"127.0.0.1:{world.auth_port}",
                "GATEWAY_AUDIT_ENDPOINTS": f"127.0.0.1:{world.audit_port}",
                "GATEWAY_ISSUER": ISSUER,
            },
            stdout=log,
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            for _ in range(200):
                assert process.returncode is None, (tmp_path / "log").read_text()
                try:
                    answer = await http.get("/.well-known/jwks.json")
                except httpx.TransportError:
                    pass
                else:
                    if answer.status_code == 200:
                        break
                await asyncio.sleep(0.05)
        assert answer.json()["keys"]
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_init_sql_and_migrations_need_no_superuser(services, tmp_path):
    # A server of its own: roles belong to the whole server, and other tests use theirs.
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    with outside_postgres(folder, 18) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE smart_audit")
        psql = [str(binary("psql")), "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "--quiet"]
        init = [*psql, server.url("smart_audit"), "-f", str(ROOT / "deploy/postgres/init.sql")]
        await ended_well(*init, env=environment(services["db"]))

        def local(service, **changes):
            found = environment(services[service])
            here = {
                name: value.replace("@db:5432/", f"@127.0.0.1:{server.port}/")
                for name, value in found.items()
            }
            return {"PATH": os.environ["PATH"]} | here | changes

        for name in ("auth", "audit"):
            migrating = await forks.start(
                f"smart_audit.{name}", "migrate", env=local(f"{name}-migrate")
            )
            assert await migrating.wait() == 0
        port = str(free_port())
        environment_of_audit = local("audit", AUDIT_PORT=port)
        audit = await forks.start("smart_audit.audit", "serve", env=environment_of_audit)
        try:
            await until_serving(int(port))
        finally:
            audit.terminate()
            assert await audit.wait() == 0
        with psycopg.connect(server.url("smart_audit")) as connection:
            owners = connection.execute(
                "SELECT DISTINCT tableowner, rolsuper FROM pg_tables JOIN pg_roles"
                " ON rolname = tableowner WHERE schemaname IN ('auth', 'audit')"
            ).fetchall()
        assert owners == [("smart_audit_owner", False)]
