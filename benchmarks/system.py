"""The system under test: the one-machine stack with its own Postgres, services and gateway.

They run as in production, each in its own process; what they keep lies in a temporary folder.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import grpc.aio
import psycopg

from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.stack import database, ports, postgres, system, vault
from smart_audit.stack.datadir import DataDir, claimed
from smart_audit.stack.limits import RateLimits
from smart_audit.stack.problem import Problem

PASSWORD = "correct horse battery staple"
# A batch and its receipts are larger than gRPC's default of 4 MiB may hold.
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.lb_policy_name", "round_robin"),
)
WAITING = "SELECT 1 FROM auth.outbox LIMIT 1"
_OUTBOX_LIMIT_S = 60.0
_ASK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class User:
    """A user with an organisation, and so a log, of their own."""

    email: str
    organisation_id: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class System:
    """Where the parts of the running system are."""

    auth: grpc.aio.Channel
    """To one process of auth."""
    auth_workers: grpc.aio.Channel
    """To all of them in turn; there is one for each core."""
    audit: grpc.aio.Channel
    """To one process of audit."""
    audit_workers: grpc.aio.Channel
    """To all of them in turn; there is one for each core."""
    audit_address: str
    """host:port of one process of audit."""
    gateway_port: int
    owner_url: str = field(repr=False)
    folder: Path

    async def new_user(self) -> User:
        """Sign a new user up and log in."""
        stub: Any = auth_pb2_grpc.AuthServiceStub(self.auth)
        email = f"{uuid4().hex}@example.com"
        await stub.Signup(
            auth_pb2.SignupRequest(
                email=email, password=PASSWORD, first_name="Ada", last_name="Lovelace"
            )
        )
        answer = await stub.Login(auth_pb2.LoginRequest(email=email, password=PASSWORD))
        return User(email, answer.organisation_id, answer.access_token, answer.refresh_token)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the database's owner, autocommit."""
        return psycopg.connect(self.owner_url, autocommit=True)

    async def settled(self) -> None:
        """Wait until auth has handed its events to audit, which is work of its own."""
        with self.connect() as connection:
            async with asyncio.timeout(_OUTBOX_LIMIT_S):
                while connection.execute(WAITING).fetchone():  # noqa: ASYNC110
                    await asyncio.sleep(_ASK_AGAIN_S)

    @contextmanager
    def child(self, module: str, *arguments: str, **environment: str) -> Iterator[None]:
        """Run a module of the benchmarks in a process of its own, until its input ends."""
        # Not by asyncio, whose fork gRPC would see and warn of.
        with (
            (self.folder / f"{module}.log").open("ab") as log,
            subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[1],
                env={**os.environ, **environment},
                start_new_session=True,
            ),
        ):
            yield


@asynccontextmanager
async def running_system() -> AsyncIterator[System]:
    """Start everything, and stop it at the end. Raises: smart_audit.stack.problem.Problem."""
    outside = os.environ.get("DATABASE_URL")
    async with _scratch_database(outside) if outside else nullcontext(None) as database_url:
        with (
            tempfile.TemporaryDirectory(prefix="smart-audit-bench-") as folder,
            claimed(Path(folder) / "data") as data,
        ):
            async with _stack(data, database_url) as state:
                owner_url = database_url or _embedded_url(data, state)
                async with (
                    _channel(state["auth_addresses"][0]) as auth,
                    _channel(f"ipv4:{','.join(state['auth_addresses'])}") as auth_workers,
                    _channel(state["audit_addresses"][0]) as audit,
                    _channel(f"ipv4:{','.join(state['audit_addresses'])}") as audit_workers,
                ):
                    port = urlsplit(state["gateway_url"]).port or 0
                    channels = (auth, auth_workers, audit, audit_workers)
                    address = state["audit_addresses"][0]
                    yield System(*channels, address, port, owner_url, Path(folder))


def _channel(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)


@asynccontextmanager
async def _stack(data: DataDir, database_url: str | None) -> AsyncIterator[dict[str, Any]]:
    """Run the stack beside us; gives its state once all of it is healthy."""
    port, auth_port, audit_port = ports.free_ports(3, taken=set())
    options = system.Options(
        host="127.0.0.1",
        port=port,
        auth_port=auth_port,
        audit_port=audit_port,
        workers=os.cpu_count() or 1,
        database_url=database_url,
        environment_name="development",
        cors_origins=(),
        rate_limits=RateLimits(calls_per_second=0, credentials_per_minute=0),
        issuer=f"http://localhost:{port}",
        metrics_ports={},
        otlp_endpoint="",
    )
    ready: asyncio.Future[dict[str, Any]] = asyncio.Future()
    stack = asyncio.create_task(system.run(options, data, _say, ready.set_result))
    try:
        parts: set[asyncio.Future[Any]] = {stack, ready}
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        if stack.done():
            stack.result()
        yield ready.result()
    finally:
        stack.cancel()
        await asyncio.wait({stack})


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _embedded_url(data: DataDir, state: dict[str, Any]) -> str:
    secrets = vault.load_or_create(data.secrets, data_exists=True)
    cluster = postgres.Cluster(data, Path(state["socket_dir"]), account=None)
    return cluster.url(secrets.superuser_password)


@asynccontextmanager
async def _scratch_database(server_url: str) -> AsyncIterator[str]:
    """A new database on the server of DATABASE_URL, dropped at the end.

    The services' roles belong to the whole server, and a second installation would get their
    passwords changed under it: a server that has them is refused.
    """
    name = f"smart_audit_bench_{uuid4().hex}"
    url = database.normalised(server_url)
    roles = (database.AUTH_ROLE, database.AUDIT_ROLE)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        found = await connection.execute(
            "SELECT 1 FROM pg_roles WHERE rolname = ANY(%s)", [list(roles)]
        )
        if await found.fetchone():
            raise Problem("Smart Audit is installed on the server of DATABASE_URL; give another.")
        await connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
            for role in roles:
                await connection.execute(f"DROP ROLE IF EXISTS {role}")
