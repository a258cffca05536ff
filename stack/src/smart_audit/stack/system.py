"""The whole system: started in order, watched, and stopped in the opposite order."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smart_audit.stack import control, database, gateway, health, metrics, ports, postgres, services
from smart_audit.stack.account import postgres_account
from smart_audit.stack.certificates import Authority
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.edge import Edge
from smart_audit.stack.limits import RateLimits
from smart_audit.stack.process import Program, run_here, run_to_end
from smart_audit.stack.rolling import Running
from smart_audit.stack.supervisor import Child, Say, Supervisor, crashed
from smart_audit.stack.tls import Certificate, Upstream
from smart_audit.stack.vault import Secrets, load_or_create

OnReady = Callable[[dict[str, Any]], None]
Command = Callable[[services.Plan], Program]

_STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Options:
    """What the person asked for; `database_url` None means the embedded database."""

    host: str
    port: int
    auth_port: int
    audit_port: int
    workers: int
    database_url: str | None
    environment_name: str
    cors_origins: tuple[str, ...]
    rate_limits: RateLimits
    issuer: str
    metrics_ports: Mapping[str, str | None]
    """What the settings `*_METRICS_PORT` of auth, audit and the gateway say."""
    otlp_endpoint: str
    docs: bool = True
    """Whether the gateway has pages of documentation."""
    tls: bool = False
    """Serve by TLS; by a certificate that is made here, if none is named."""
    certificate: Certificate | None = None
    mutual_tls: bool = False
    """Services and gateway show each other certificates, which are made here."""
    mail: str | Path | None = None
    """The SMTP server, or the folder that was named for mail."""

    @property
    def gateway_url(self) -> str:
        """By which this machine reaches the gateway."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{ports.joined(ports.reachable(self.host), self.port)}"

    def refuse_taken_ports(self) -> None:
        """Raise Problem when something else listens on one of the ports."""
        ports.refuse_taken(self.host, self.port, "the gateway", "--port")
        ports.refuse_taken(services.LOOPBACK, self.auth_port, "auth", "--auth-port")
        ports.refuse_taken(services.LOOPBACK, self.audit_port, "audit", "--audit-port")


@dataclass(frozen=True, slots=True)
class Stack:
    """One run of the system."""

    options: Options
    data: DataDir
    sockets: Path
    supervisor: Supervisor
    say: Say


async def run(options: Options, data: DataDir, say: Say, on_ready: OnReady) -> None:
    """Start everything, call `on_ready` with the state, and supervise until cancelled.

    Raises: Problem when some part cannot be started; what was started is stopped first.
    """
    async with _prepared(options, data, say) as (stack, plan):
        await _serve(stack, plan, on_ready)


async def migrate(options: Options, data: DataDir, say: Say) -> None:
    """Bring the schemas up to date, and leave nothing running. Raises: Problem."""
    async with _prepared(options, data, say):
        pass


async def command(options: Options, data: DataDir, say: Say, program: Command) -> int:
    """Run a service's command on the database, and leave nothing running.

    Gives the exit code of the command. Raises: Problem.
    """
    async with _opened(options, data, say) as (_, plan):
        return await run_here(program(plan))


async def command_beside(options: Options, data: DataDir, program: Command) -> int:
    """As `command`, on a database that runs already: an outside one, or a running system's."""
    return await run_here(program(await plan_beside(options, data)))


async def plan_beside(options: Options, data: DataDir) -> services.Plan:
    """The plan for a database that runs already. Raises: Problem."""
    secrets = load_or_create(data.secrets, data_exists=True)
    if options.database_url is not None:
        owner_url = database.normalised(options.database_url)
        await database.check_outside(owner_url)
    else:
        sockets = Path(data.read_state()["socket_dir"] or "")
        cluster = postgres.Cluster(data, sockets, postgres_account())
        owner_url = cluster.url(secrets.superuser_password)
    return _plan(options, data, secrets, owner_url)


@asynccontextmanager
async def _prepared(
    options: Options, data: DataDir, say: Say
) -> AsyncIterator[tuple[Stack, services.Plan]]:
    """Yield with a database that is reachable and whose schemas are up to date."""
    async with _opened(options, data, say) as (stack, plan):
        await _migrate(plan)
        yield stack, plan


@asynccontextmanager
async def _opened(
    options: Options, data: DataDir, say: Say
) -> AsyncIterator[tuple[Stack, services.Plan]]:
    """Yield with a database that is reachable."""
    stack = Stack(options, data, postgres.socket_home(data), Supervisor(say), say)
    try:
        async with _database(stack) as (owner_url, secrets):
            yield stack, _plan(options, data, secrets, owner_url)
    finally:
        if stack.sockets != data.run:
            shutil.rmtree(stack.sockets, ignore_errors=True)


@asynccontextmanager
async def _database(stack: Stack) -> AsyncIterator[tuple[str, Secrets]]:
    """Yield the owner's address of a usable database; an embedded one is stopped afterwards."""
    if stack.options.database_url is None:
        async with _embedded_database(stack) as found:
            yield found
        return
    url = database.normalised(stack.options.database_url)
    await database.check_outside(url)
    secrets = load_or_create(stack.data.secrets, data_exists=await database.holds_data(url))
    yield url, secrets


@asynccontextmanager
async def _embedded_database(stack: Stack) -> AsyncIterator[tuple[str, Secrets]]:
    data = stack.data
    postgres.check_existing(data)
    secrets = load_or_create(data.secrets, data_exists=data.postgres.exists())
    password = secrets.superuser_password
    cluster = await postgres.prepare(data, stack.sockets, postgres_account(), password, stack.say)
    try:
        await stack.supervisor.start(cluster.program())
        server_url = cluster.url(password, database="postgres")
        await database.wait_for_server(server_url, stack.supervisor)
        await database.ensure_database(server_url, postgres.DATABASE)
        yield cluster.url(password), secrets
    finally:
        await stack.supervisor.stop_all()


def _plan(options: Options, data: DataDir, secrets: Secrets, owner_url: str) -> services.Plan:
    known = {options.port, options.auth_port, options.audit_port}
    count = options.workers
    # For calls and for metrics of two services, and for the metrics of the gateway.
    spare = ports.free_ports(4 * count + 1, taken=known)
    auth, audit, auth_metrics, audit_metrics = (
        spare[number * count : (number + 1) * count] for number in range(4)
    )
    auth[0], audit[0] = options.auth_port, options.audit_port
    named = options.metrics_ports
    return services.Plan(
        data=data,
        secrets=secrets,
        owner_url=owner_url,
        issuer=options.issuer,
        environment_name=options.environment_name,
        mail_dir=_mail_dir(options, data),
        auth=services.workers("auth", auth, metrics.chosen(named.get("auth"), auth_metrics)),
        audit=services.workers("audit", audit, metrics.chosen(named.get("audit"), audit_metrics)),
        gateway_metrics_port=metrics.chosen(named.get("gateway"), spare[-1:])[0],
        mutual=_mutual(data) if options.mutual_tls else None,
    )


def _mail_dir(options: Options, data: DataDir) -> Path | None:
    if options.mail is None:
        # In production auth refuses to start, and says what it needs.
        return data.mail if options.environment_name == "development" else None
    return options.mail if isinstance(options.mail, Path) else None


async def _migrate(plan: services.Plan) -> None:
    # Most starts have nothing to migrate, and to ask costs two processes a second.
    if await database.are_migrated(plan.owner_url, plan.database_urls()):
        return
    programs = [services.migration(plan, service) for service in services.NAMES]
    for program, code in zip(
        programs, await asyncio.gather(*map(run_to_end, programs)), strict=True
    ):
        if code != 0:
            raise crashed(program)


async def _serve(stack: Stack, plan: services.Plan, on_ready: OnReady) -> None:
    """Start the services and the gateway, wait for health, and stay until cancelled."""
    edge = Edge(_gateway_settings(stack, plan), stack.data, stack.sockets, stack.supervisor)
    running = Running(plan, stack.supervisor, edge)
    metrics.write(plan.workers(), plan.gateway_metrics_port, stack.data.run)
    children: list[Child] = []
    try:
        for service, worker in plan.workers():
            program = services.server(plan, service, worker)
            children.append(await stack.supervisor.start(program))
        await edge.start({"auth": plan.auth, "audit": plan.audit})
        checks = {
            worker.name: health.grpc_check(worker.address, plan.mutual)
            for _, worker in plan.workers()
        }
        checks["envoy"] = edge.check()
        await health.wait_until_healthy(checks, stack.supervisor, stack.data)
        state = _state(stack, plan)
        stack.data.write_state(state)

        async def restart(what: str, say: Say) -> None:
            def say_everywhere(line: str) -> None:
                stack.say(line)
                say(line)

            try:
                await running.restart(what, say_everywhere)
            finally:
                stack.data.write_state(_state(stack, plan))

        async with control.listening(_control_socket(stack.sockets), restart):
            on_ready(state)
            await asyncio.Event().wait()
    finally:
        stack.data.state.unlink(missing_ok=True)
        await edge.stop()
        await stack.supervisor.stop(children)


def _gateway_settings(stack: Stack, plan: services.Plan) -> gateway.GatewaySettings:
    mutual = plan.mutual
    return gateway.GatewaySettings(
        host=stack.options.host,
        port=stack.options.port,
        auth_endpoints=tuple(worker.address for worker in plan.auth),
        audit_endpoints=tuple(worker.address for worker in plan.audit),
        issuer=plan.issuer,
        cors_origins=stack.options.cors_origins,
        rate_limits=stack.options.rate_limits,
        metrics_host=services.LOOPBACK,
        metrics_port=plan.gateway_metrics_port,
        otlp_endpoint=stack.options.otlp_endpoint,
        docs=stack.options.docs,
        certificate=_certificate(stack.options, stack.data),
        upstream=Upstream(mutual.authority, mutual.gateway) if mutual else None,
        admin_socket=stack.sockets / "admin.sock",
        descriptor_file=stack.data.run / gateway.DESCRIPTORS_NAME,
    )


def _makes_its_own(options: Options) -> bool:
    return options.tls and options.certificate is None


def _certificate(options: Options, data: DataDir) -> Certificate | None:
    if not _makes_its_own(options):
        return options.certificate
    return Authority(data.tls, "Smart Audit on this machine").issue("gateway")


def _mutual(data: DataDir) -> services.Mutual:
    authority = Authority(data.mtls, "Smart Audit services on this machine")
    made = (authority.issue(name) for name in ("auth", "audit", "gateway"))
    return services.Mutual(authority.certificate, *made)


def _state(stack: Stack, plan: services.Plan) -> dict[str, Any]:
    """What other commands need to find the stack: nothing secret."""
    embedded = stack.options.database_url is None
    return {
        "version": _STATE_VERSION,
        "supervisor_pid": os.getpid(),
        "processes": {child.program.name: child.pid for child in stack.supervisor.children},
        "gateway_url": stack.options.gateway_url,
        "docs_url": f"{stack.options.gateway_url}/docs" if stack.options.docs else None,
        "gateway_ca": str(stack.data.tls / "ca.pem") if _makes_its_own(stack.options) else None,
        "issuer": plan.issuer,
        "auth_addresses": [worker.address for worker in plan.auth],
        "audit_addresses": [worker.address for worker in plan.audit],
        "database": "embedded" if embedded else database.shown(plan.owner_url),
        "control_socket": str(_control_socket(stack.sockets)),
        "socket_dir": str(stack.sockets / "postgres") if embedded else None,
        "data_dir": str(stack.data.root),
        "logs_dir": str(stack.data.logs),
        "metrics": str(stack.data.run / metrics.FILE),
        "mail": str(plan.mail_dir or stack.options.mail),
        "mail_dir": str(plan.mail_dir) if plan.mail_dir else None,
    }


def _control_socket(sockets: Path) -> Path:
    return sockets / "control.sock"
