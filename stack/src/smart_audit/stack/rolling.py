"""Restarts what runs, one process after the other, while the others serve."""

from dataclasses import dataclass

from smart_audit.stack import health, ports, services
from smart_audit.stack.edge import Edge
from smart_audit.stack.services import Plan, Worker
from smart_audit.stack.supervisor import Child, Say, Supervisor

GATEWAY, EVERYTHING = "gateway", "all"


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that runs. Each worker has the child of its name."""

    plan: Plan
    supervisor: Supervisor
    edge: Edge

    async def restart(self, what: str, say: Say) -> None:
        """Restart a service, the gateway, or all of them.

        Raises: Problem when something does not start again; everything else goes on serving.
        """
        for service in services.NAMES:
            if what in (service, EVERYTHING):
                await self._restart_service(service, say)
        if what in (GATEWAY, EVERYTHING):
            await self.edge.replace()
            say("restarted the gateway")

    async def _restart_service(self, service: str, say: Say) -> None:
        """A stand-in serves beside the workers meanwhile.

        It starts first: what does not start at all is found before anything has been stopped.
        """
        workers = self.plan.auth if service == "auth" else self.plan.audit
        stand_in = _stand_in(service)
        helper = await self._start(service, stand_in)
        try:
            await self._until_healthy(stand_in)
        except BaseException:
            await self.supervisor.stop([helper])
            raise
        for worker in workers:
            others = [one for one in workers if one is not worker]
            await self.edge.lead_to(service, [*others, stand_in], leaving=worker)
            child = self._child(worker)
            await child.stop()
            await child.start()
            await self._until_healthy(worker)
            say(f"restarted {worker.name}")
        await self.edge.lead_to(service, workers, leaving=stand_in)
        await self.supervisor.stop([helper])
        await self.edge.lead_to(service, workers)

    async def _start(self, service: str, worker: Worker) -> Child:
        return await self.supervisor.start(services.server(self.plan, service, worker))

    async def _until_healthy(self, worker: Worker) -> None:
        checks = {worker.name: health.grpc_check(worker.address, self.plan.mutual)}
        await health.wait_until_healthy(checks, self.supervisor, self.plan.data, at_once=True)

    def _child(self, worker: Worker) -> Child:
        return next(one for one in self.supervisor.children if one.program.name == worker.name)


def _stand_in(service: str) -> Worker:
    (port,) = ports.free_ports(1, taken=set())
    return Worker(f"{service}-stand-in", services.LOOPBACK, port, metrics_port=0)
