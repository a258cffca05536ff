"""The gateway of a running stack: whom it leads to, and how another one takes its place."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from smart_audit.stack import clusters, gateway, health, services
from smart_audit.stack.admin import Admin, drain
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.problem import Problem
from smart_audit.stack.routes import LONGEST_CALL_S
from smart_audit.stack.services import Worker
from smart_audit.stack.supervisor import Child, Supervisor

_NOTICED_LIMIT_S = 30.0
_RETIRES_WITHIN_S = services.HANDED_OVER_S + 30.0
_LOOK_AGAIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Generation:
    """One Envoy: `settings` has its sockets, `folder` its files."""

    number: int
    settings: gateway.GatewaySettings
    folder: Path
    child: Child

    @property
    def admin(self) -> Admin:
        """Its admin interface."""
        return Admin(self.settings.admin_socket)


class Edge:
    """Starts the gateway, tells it who serves, and replaces it without losing a call."""

    def __init__(
        self,
        settings: gateway.GatewaySettings,
        data: DataDir,
        sockets: Path,
        supervisor: Supervisor,
    ) -> None:
        """settings: of all gateways, but for what each has of its own."""
        self._settings = settings
        self._data = data
        self._sockets = sockets
        self._supervisor = supervisor
        self._workers: dict[str, list[Worker]] = {}
        self._now: Generation | None = None
        self._before: list[Child] = []
        self._retiring: asyncio.Task[None] | None = None

    @property
    def now(self) -> Generation:
        """The one that serves. Raises: RuntimeError before the start."""
        if self._now is None:
            raise RuntimeError("the gateway has not been started")
        return self._now

    async def start(self, workers: dict[str, list[Worker]]) -> None:
        """Start the first one, before the workers of each service."""
        self._workers = dict(workers)
        self._now = await self._started(0, keys_from=None)

    def check(self) -> health.Check:
        """A check that the one that serves does so."""
        return health.gateway_check(self.now.admin)

    async def replace(self) -> None:
        """Start another one, which takes the listeners over; returns when it serves.

        The one before ends what it is at meanwhile.
        Raises: Problem when the new one does not start; the one before goes on then.
        """
        if self._retiring is not None:
            await self._retiring  # three at once cannot share their memory
        before = self.now
        self._now = await self._started(before.number + 1, keys_from=before.settings.keys_socket)
        after = self._now
        try:
            checks = {after.child.program.name: self.check()}
            await health.wait_until_healthy(checks, self._supervisor, self._data, at_once=True)
        except Problem:
            self._now = before
            await self._supervisor.stop([after.child])
            raise
        clusters.write_keys_sockets(after.folder, [after.settings.keys_socket])
        self._retiring = asyncio.create_task(self._retire(before))

    async def lead_to(
        self, service: str, workers: list[Worker], leaving: Worker | None = None
    ) -> None:
        """Lead the calls to these workers from now on.

        Who leaves goes on serving until the others are known to. Returns when it has answered what
        it was at, but for what takes longer than a call may: streams.
        Raises: Problem when the gateway does not take notice.
        """
        self._workers[service] = workers
        addresses, ports = _addresses(workers), {one.port for one in workers}
        write = partial(clusters.write_endpoints, self.now.folder, service)
        if leaving is None:
            write(addresses)
            await self._noticed(service, workers, lambda serving: serving == ports)
            return
        write([*addresses, leaving.address])
        await self._noticed(service, workers, lambda serving: serving >= ports)
        write(addresses, leaving=[leaving.address])
        await self._noticed(service, workers, lambda serving: serving == ports)

        async def idle() -> bool:
            seen = await asyncio.to_thread(self.now.admin.workers, service)
            return seen[leaving.port].calls == 0

        await _until(idle, LONGEST_CALL_S)

    async def _noticed(
        self, service: str, workers: list[Worker], enough: Callable[[set[int]], bool]
    ) -> None:
        """Wait until the ports that get calls are enough."""

        async def so() -> bool:
            seen = await asyncio.to_thread(self.now.admin.workers, service)
            return enough({port for port, one in seen.items() if one.serves})

        if not await _until(so, _NOTICED_LIMIT_S):
            names = ", ".join(worker.name for worker in workers)
            raise Problem(
                f"The gateway does not lead to {names} within {_NOTICED_LIMIT_S:.0f} seconds; "
                f"its log may say why: {self._data.log('envoy')}"
            )

    async def stop(self) -> None:
        """Let requests under way finish, and stop."""
        if self._now is None:
            return
        await drain(self._now.admin)
        if self._retiring is not None:
            self._retiring.cancel()
        await self._supervisor.stop([*self._before, self._now.child])
        _forget(services.base_id(self._sockets))

    async def _retire(self, before: Generation) -> None:
        self._before = [before.child]
        await self._supervisor.retire(before.child, _RETIRES_WITHIN_S)
        self._before.clear()
        shutil.rmtree(before.folder)

    async def _started(self, number: int, keys_from: Path | None) -> Generation:
        """A gateway that has been started. The keys come from its predecessor, if it has one."""
        folder = self._data.run / f"gateway-{number}"
        folder.mkdir(mode=0o700, exist_ok=True)
        settings = replace(
            self._settings,
            admin_socket=self._sockets / f"admin-{number}.sock",
            endpoints_folder=folder,
            keys_known_first=keys_from is not None,
        )
        for service, workers in self._workers.items():
            clusters.write_endpoints(folder, service, _addresses(workers))
        # As soon as it listens, its predecessor does not any more: not for its keys either.
        sockets = [keys_from, settings.keys_socket] if keys_from else [settings.keys_socket]
        clusters.write_keys_sockets(folder, sockets)
        config, log = gateway.write(settings, folder), self._data.log("envoy")
        program = services.envoy(config, log, number, self._sockets)
        return Generation(number, settings, folder, await self._supervisor.start(program))


async def _until(condition: Callable[[], Awaitable[bool]], limit_s: float) -> bool:
    """Wait for the condition; False when it was not met in so many seconds."""
    deadline = asyncio.get_running_loop().time() + limit_s
    while not await condition():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_LOOK_AGAIN_S)
    return True


def _forget(base_id: int) -> None:
    """Envoy leaves behind what its generations have shared."""
    for left in Path("/dev/shm").glob(f"envoy_shared_memory_{base_id}*"):  # noqa: S108
        left.unlink(missing_ok=True)


def _addresses(workers: list[Worker]) -> list[str]:
    return [worker.address for worker in workers]
