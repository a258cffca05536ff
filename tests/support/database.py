"""One PostgreSQL for a whole test run, and databases cloned from one migrated template."""

import asyncio
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import psycopg

import smart_audit.audit
from smart_audit.core import migrations
from smart_audit.stack import postgres
from smart_audit.stack.account import postgres_account
from smart_audit.stack.datadir import DataDir

PASSWORD = "test-only"
STATE = "cluster.json"
TEMPLATE = "template_smart_audit"
# Kept, because a Popen that is dropped complains; the controller stops the server by its pid.
_servers: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Cluster:
    """The run's server."""

    owner_url: str
    """Of the database `postgres`, as the superuser."""
    pid: int

    def new_database(self, template: str = TEMPLATE) -> "Database":
        """A clone of the migrated template, or of another database that nobody is connected to."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return Database(name, _at(self.owner_url, name))

    def empty_database(self) -> "Database":
        """A database that nobody has migrated."""
        name = f"test_{uuid4().hex}"
        with psycopg.connect(self.owner_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return Database(name, _at(self.owner_url, name))

    @staticmethod
    def stop_in(run_dir: Path) -> None:
        """Stop the run's server, if one was started."""
        if not (run_dir / STATE).exists():
            return
        pid = json.loads((run_dir / STATE).read_text())["pid"]
        os.kill(pid, signal.SIGQUIT)
        for _ in range(100):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)


@dataclass(frozen=True)
class Database:
    """One database of a test."""

    name: str
    owner_url: str

    def service_url(self, service: str) -> str:
        """The URL of a service's own role."""
        return _as_role(self.owner_url, f"smart_audit_{service}")

    def connect(self) -> psycopg.Connection:
        """A connection of the owner, whom no policy binds; the attacker with all rights."""
        return psycopg.connect(self.owner_url, autocommit=True)

    def execute(self, statement: LiteralString, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the owner; gives its rows."""
        with self.connect() as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    async def alter(self, statement: LiteralString, *values: Any) -> None:
        """Run a statement that waits for transactions of services, which end on this event loop.

        Meanwhile the loop has to run: else all would stand still, until the database ends them.
        """
        await asyncio.to_thread(self.execute, statement, *values)


def start_cluster(run_dir: Path) -> Cluster:
    """The run's server, started and migrated by the first who asks."""
    state = run_dir / STATE
    if not state.exists():
        state.write_text(json.dumps(asdict(asyncio.run(_start(run_dir)))))
    return Cluster(**json.loads(state.read_text()))


async def _start(run_dir: Path) -> Cluster:
    data = DataDir(run_dir / "data")
    for folder in (data.root, data.run, data.logs):
        folder.mkdir(mode=0o700)
    account = postgres_account()
    cluster = await postgres.prepare(data, data.run, account, PASSWORD, lambda _: None)
    program = cluster.program()
    # Nobody needs test data after a power cut, and the disk would be most of the run's time.
    settings = {"fsync": "off", "full_page_writes": "off"}
    # Passwords are no secrets here, and hundreds of databases are gone before they need vacuum.
    settings |= {"scram_iterations": "1", "autovacuum_naptime": "1h"}
    command = [*program.command, *(f"--{name}={value}" for name, value in settings.items())]
    with program.log.open("ab") as log:
        server = subprocess.Popen(  # noqa: ASYNC220
            command,
            stdout=log,
            stderr=log,
            env=dict(program.environment),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            start_new_session=True,
        )
    _servers.append(server)
    owner_url = cluster.url(PASSWORD, "postgres")
    _wait_for(owner_url)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE CURRENT_USER PASSWORD '{PASSWORD}'")
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    template = _at(owner_url, TEMPLATE)
    for service in ("auth", "audit"):
        migrate(service, template)
    return Cluster(owner_url, server.pid)


def migrate(service: str, owner_url: str) -> None:
    """Bring one service's schema up to date."""
    services = Path(smart_audit.audit.__file__).parents[4]
    scripts = services / service / "src" / "smart_audit" / service / "migrations"
    migrations.upgrade(owner_url, _as_role(owner_url, f"smart_audit_{service}"), scripts, service)


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("PostgreSQL did not start")


def _at(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _as_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(PASSWORD)}@"))
