"""Services as processes of their own, to be killed and started again."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support import forks
from tests.support.database import Database
from tests.support.world import ISSUER, free_port


@dataclass
class Service:
    """One process of a service."""

    name: str
    port: int
    environment: dict[str, str]
    log: Path
    process: forks.Forked | None = field(default=None)

    async def start(self) -> None:
        """Start, and wait until it serves."""
        with self.log.open("ab") as log:
            self.process = await forks.start(
                f"smart_audit.{self.name}",
                "serve",
                stdout=log,
                stderr=log,
                env={**plain_environment(), **self.environment},
            )
        await until_serving(self.port)

    async def kill(self) -> None:
        """SIGKILL: no goodbye, nothing flushed."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()


def plain_environment() -> dict[str, str]:
    """Ours without coverage, which slows a start by half; the same code is measured elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


async def until_serving(port: int) -> None:
    """Wait until a service answers that it serves."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60
        )
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@asynccontextmanager
async def running_processes(
    database: Database,
    folder: Path,
    audit_workers: int = 1,
    audit: dict[str, str] | None = None,
    auth: dict[str, str] | None = None,
) -> AsyncIterator[tuple[Service, list[Service]]]:
    """auth, and as many processes of audit as asked for, on one database; settings may be given."""
    auth_port, *audit_ports = [free_port() for _ in range(audit_workers + 1)]
    auth_service = Service(
        "auth",
        auth_port,
        {
            "AUTH_PORT": str(auth_port),
            "AUTH_DATABASE_URL": database.service_url("auth"),
            "AUTH_MAIL_DIR": str(folder / "mail"),
            "AUTH_AUDIT_ADDRESS": ",".join(f"127.0.0.1:{port}" for port in audit_ports),
            "AUTH_ISSUER": ISSUER,
            "AUTH_LOG_FORMAT": "json",
            **(auth or {}),
        },
        folder / "auth.log",
    )
    audits = [
        Service(
            "audit",
            port,
            {
                "AUDIT_PORT": str(port),
                "AUDIT_DATABASE_URL": database.service_url("audit"),
                "AUDIT_AUTH_ADDRESS": f"127.0.0.1:{auth_port}",
                "AUDIT_ISSUER": ISSUER,
                "AUDIT_LOG_FORMAT": "json",
                **(audit or {}),
            },
            folder / f"audit-{number}.log",
        )
        for number, port in enumerate(audit_ports)
    ]
    services = [auth_service, *audits]
    try:
        await asyncio.gather(*(service.start() for service in services))
        yield auth_service, audits
    finally:
        await asyncio.gather(*(service.stop() for service in services if service.process))
