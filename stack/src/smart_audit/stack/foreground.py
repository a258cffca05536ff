"""What `up` does around the system: settings, signals, and what the person sees."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from rich.console import Console
from rich.table import Table

from smart_audit.stack import control, services, system, vault
from smart_audit.stack.backup import read_manifest
from smart_audit.stack.datadir import DataDir, claimed, holder
from smart_audit.stack.gateway import certificate_from, docs_from, rate_limits_from
from smart_audit.stack.mails import Mail, watch
from smart_audit.stack.problem import Problem
from smart_audit.stack.supervisor import Say

T = TypeVar("T")

_DEFAULT_CORS_ORIGINS = "http://localhost:3000"
_INTERRUPTED = 130
_DOWN_LIMIT_S = 90.0
_DOWN_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `up`, with their defaults."""

    host: str = "127.0.0.1"
    port: int = 8000
    auth_port: int = 50051
    audit_port: int = 50052
    workers: int = 1
    tls: bool = False
    mutual_tls: bool = False


def up(data_dir: Path, asked: Asked) -> None:
    """Run the whole system until SIGINT, SIGTERM or SIGHUP, then stop it cleanly.

    Raises: Problem.
    """
    options = options_of(asked)
    console = Console(stderr=True)
    with claimed(data_dir) as data:
        options.refuse_taken_ports()
        say = _narrator(console, data)
        beside: list[asyncio.Task[None]] = []
        with console.status("starting Smart Audit") as status:

            def ready(state: dict[str, Any]) -> None:
                status.stop()
                Console().print(_summary(state))
                if state["mail_dir"]:
                    beside.append(asyncio.create_task(watch(Path(state["mail_dir"]), _show)))

            asyncio.run(_until_signal(system.run(options, data, say, ready), say))
        say("stopped")


def migrate(data_dir: Path) -> None:
    """Bring the schemas up to date without serving. Raises: Problem."""
    options = options_of(Asked())
    with claimed(data_dir) as data:
        say = _narrator(Console(stderr=True), data)
        if asyncio.run(_until_signal(system.migrate(options, data, say), say)):
            say("the schemas are up to date")


def verify_database(data_dir: Path) -> int:
    """Verify the database; give the exit code of the verification. Raises: Problem."""
    return _command(data_dir, services.verification)


def administration(data_dir: Path, verb: str, email: str) -> int:
    """Make or unmake an administrator; give the exit code of auth's command. Raises: Problem."""
    return _command(data_dir, partial(services.administration, verb=verb, email=email))


def backup(data_dir: Path, folder: Path) -> int:
    """Back the database up, into a new folder below `folder`; give the exit code.

    Raises: Problem.
    """
    chosen = folder.expanduser().absolute()
    return _command(data_dir, partial(services.backup, verb="make", folder=chosen))


def restore(data_dir: Path, folder: Path, secrets: Path | None) -> int:
    """Restore a backup into a place without data; give the exit code. Raises: Problem."""
    chosen = folder.expanduser().absolute()
    read_manifest(chosen)
    options = options_of(Asked())
    with claimed(data_dir) as data:
        if options.database_url is None and data.postgres.exists():
            raise Problem(f"{data.root} has a database already; choose another --data-dir.")
        if secrets is not None:
            vault.adopt(secrets, data.secrets)
        elif not data.secrets.exists():
            raise Problem(
                "A restored database opens with the secrets.json that belongs to it alone;"
                " name that file with --secrets."
            )
        say = _narrator(Console(stderr=True), data)
        work = partial(services.backup, verb="restore", folder=chosen)
        code = _to_the_end(system.command(options, data, say, work), say)
        if code != 0 and options.database_url is None:
            # What was made for this restore alone, so that it can be tried again.
            shutil.rmtree(data.postgres)
    return code


def down(data_dir: Path) -> str:
    """Stop the running supervisor, wait for its end, and return what happened in words.

    Raises: Problem when it may not be stopped, or does not end in 90 s.
    """
    data = DataDir(data_dir.expanduser().absolute())
    pid = holder(data)
    if pid is None:
        return f"nothing runs on {data.root}"
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise Problem(f"Process {pid} belongs to another user; run this as them.") from error
    deadline = time.monotonic() + _DOWN_LIMIT_S
    while holder(data) is not None:
        if time.monotonic() > deadline:
            raise Problem(
                f"Process {pid} has not stopped within {_DOWN_LIMIT_S:.0f} seconds; "
                f"its log says why: {data.log('stack')}"
            )
        time.sleep(_DOWN_LOOK_AGAIN_S)
    return f"stopped Smart Audit on {data.root}"


def restart(data_dir: Path, what: str) -> None:
    """Have the running system restart something, and show each step. Raises: Problem."""
    data = DataDir(data_dir.expanduser().absolute())
    if holder(data) is None:
        raise Problem(f"Nothing runs on {data.root}; smart-audit up starts it.")
    control.request_restart(Path(data.read_state()["control_socket"]), what, print)


def _command(data_dir: Path, program: system.Command) -> int:
    """Run a service's command, whether the system runs or not; give its exit code.

    Raises: Problem.
    """
    options = options_of(Asked())
    data = DataDir(data_dir.expanduser().absolute())
    say = _narrator(Console(stderr=True), data)
    if options.database_url is not None or holder(data) is not None:
        return _to_the_end(system.command_beside(options, data, program), say)
    if not data.postgres.exists():
        raise Problem(f"{data.root} has no database yet; smart-audit up makes one.")
    with claimed(data_dir):
        return _to_the_end(system.command(options, data, say, program), say)


def _to_the_end(work: Coroutine[Any, Any, int], say: Say) -> int:
    """Give the exit code that the work comes to, or that of an interrupted command."""
    codes: list[int] = []

    async def run() -> None:
        codes.append(await work)

    return codes[0] if asyncio.run(_until_signal(run(), say)) else _INTERRUPTED


async def _until_signal(running: Coroutine[Any, Any, None], say: Say) -> bool:
    """Run to the end, or to a clean stop at the first signal; say whether it came to the end."""
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(running)
    asked = False

    def stop_once() -> None:
        # A second signal must not cut the clean stop short; every step of it has a time limit.
        nonlocal asked
        if not asked:
            asked = True
            say("stopping")
            work.cancel()

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(each, stop_once)
    await asyncio.wait([work])
    if asked and work.cancelled():
        return False
    work.result()
    return True


def options_of(asked: Asked) -> system.Options:
    """What was asked for, and what the environment and .env say. Raises: Problem."""
    chosen = (asked.port, asked.auth_port, asked.audit_port)
    if len(set(chosen)) < len(chosen):
        raise Problem("--port, --auth-port and --audit-port must be three different ports.")
    # What is not an option of the command; the environment wins over .env, as for the services.
    named = dotenv_values(".env") | os.environ
    certificate = _read(certificate_from, named)
    tls = asked.tls or certificate is not None
    return system.Options(
        host=asked.host,
        port=asked.port,
        auth_port=asked.auth_port,
        audit_port=asked.audit_port,
        workers=asked.workers,
        database_url=named.get("DATABASE_URL") or None,
        environment_name=named.get("ENV") or "development",
        cors_origins=_listed(named.get("GATEWAY_CORS_ORIGINS") or _DEFAULT_CORS_ORIGINS),
        rate_limits=_read(rate_limits_from, named),
        tls=tls,
        certificate=certificate,
        mutual_tls=asked.mutual_tls,
        docs=_read(docs_from, named),
        mail=_mail(named),
        metrics_ports={
            service: _port(named, f"{service.upper()}_METRICS_PORT")
            for service in ("auth", "audit", "gateway")
        },
        otlp_endpoint=named.get("GATEWAY_OTLP_ENDPOINT")
        or named.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or "",
        issuer=named.get("GATEWAY_ISSUER")
        or f"{'https' if tls else 'http'}://localhost:{asked.port}",
    )


def _read(read: Callable[[Mapping[str, str | None]], T], named: Mapping[str, str | None]) -> T:
    """A setting of the gateway. Raises: Problem when it is malformed."""
    try:
        return read(named)
    except ValueError as error:
        raise Problem(f"{error}.") from error


def _port(named: Mapping[str, str | None], name: str) -> str | None:
    port = named.get(name)
    if port and not port.isdecimal():
        raise Problem(f"{name} must be the number of a port, or 0 for no metrics.")
    return port


def _mail(named: Mapping[str, str | None]) -> str | Path | None:
    if host := named.get("AUTH_SMTP_HOST"):
        return host
    folder = named.get("AUTH_MAIL_DIR")
    return Path(folder).expanduser().absolute() if folder else None


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _narrator(console: Console, data: DataDir) -> Say:
    """Show one line, and keep it in the supervisor's own log."""

    def say(line: str) -> None:
        console.print(f"smart-audit: {line}", markup=False, highlight=False, soft_wrap=True)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with data.log("stack").open("a") as log:
            log.write(f"{now} {line}\n")

    return say


def _show(mail: Mail) -> None:
    """Show a mail as it arrives. It goes to the terminal alone: logs are no place for secrets."""
    lines = f"mail to {mail.recipient}: {mail.subject}"
    if mail.link:
        lines += f"\n  {mail.link}"
    Console().print(lines, markup=False, highlight=False, soft_wrap=True)


def _summary(state: dict[str, Any]) -> Table:
    """The table shown once everything is healthy."""
    table = Table(title="Smart Audit is running", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("gateway", state["gateway_url"])
    if state["docs_url"]:
        table.add_row("documentation", state["docs_url"])
    if state["gateway_ca"]:
        table.add_row("trusted by", f"curl --cacert {state['gateway_ca']}")
    table.add_row("auth (gRPC)", ", ".join(state["auth_addresses"]))
    table.add_row("audit (gRPC)", ", ".join(state["audit_addresses"]))
    table.add_row("database", state["database"])
    table.add_row("data", state["data_dir"])
    table.add_row("logs", state["logs_dir"])
    table.add_row("mail", state["mail"])
    table.add_row("next", "make demo (in another terminal); Ctrl-C here stops everything")
    return table
