"""What `smart-audit doctor` sees of the system on this machine.

A finding is a mapping: `check` (a line of docs/production.md, or a name of its own), `state` (ok,
warning, failed), `found`, and `remedy`, which is empty when nothing is to be done.
"""

import asyncio
import json
import os
import re
import shutil
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from dotenv import dotenv_values

from smart_audit.stack import backup, foreground, health, ports, services, system
from smart_audit.stack.datadir import DataDir, holder
from smart_audit.stack.problem import Problem
from smart_audit.stack.process import Program

Finding = dict[str, str]

_SERVICES = ("auth", "audit")
_LEAST_SPACE = 1024**3  # bytes
_PRIVATE = 0o077
_SPARE_CONNECTIONS = 10
_POOL_SIZE = 10
_CHECK_LIMIT_S = 60.0
_METRICS_LIMIT_S = 3.0
_LONGEST_LINE = 200  # bytes
_LEAST_WORKERS = 2
_BACKUP_AGE = timedelta(days=1)
_LINE = re.compile(r"\[([a-z.-]+)\]$")
# What is on this machine is reached by no proxy, whatever the environment says.
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def findings(data_dir: Path, *, production: bool, backups: Path | None) -> Iterator[Finding]:
    """What there is to see of the system, which may run or not; nothing is changed.

    backups: the folder that `smart-audit backup` is given, if there is one.
    """
    data = DataDir(data_dir.expanduser().absolute())
    named = {key: value for key, value in (dotenv_values(".env") | os.environ).items() if value}
    yield _space(data.root)
    yield from _files(data)
    try:
        pid = holder(data)
    except Problem as problem:
        yield _finding("system.running", "failed", str(problem), "run this as its user")
        return
    if pid is None:
        yield from _ports()
        yield _finding(
            "system.running",
            "warning",
            f"nothing runs on {data.root}",
            "start it: smart-audit up",
        )
    yield from asyncio.run(_all(_seen(data, named, pid, backups, production=production)))


async def _all(found: AsyncIterator[Finding]) -> list[Finding]:
    return [one async for one in found]


async def _seen(
    data: DataDir,
    named: Mapping[str, str],
    pid: int | None,
    backups: Path | None,
    *,
    production: bool,
) -> AsyncIterator[Finding]:
    """What the services, their database and their processes say."""
    state: dict[str, Any] = {}
    try:
        if pid is not None:
            state = data.read_state()
            yield _finding("system.running", "ok", f"process {pid}, {state['gateway_url']}")
        options = foreground.options_of(foreground.Asked())
        if pid is None and options.database_url is None:
            return
        plan = await system.plan_beside(options, data)
    except Problem as problem:
        yield _finding("system.running", "failed", str(problem), "see what it says")
        return
    programs = [_check(plan, service) for service in _SERVICES]
    for found in await asyncio.gather(*map(checked, programs)):
        for finding in found:
            yield finding
    yield _keys_differ(programs)
    if state:
        async for finding in _processes(state):
            yield finding
    if production:
        async for finding in _in_production(plan, named, state, backups):
            yield finding


def _check(plan: services.Plan, service: str) -> Program:
    """A service's own look at itself; it needs the environment of a migration."""
    program = services.migration(plan, service)
    return Program(
        f"{service}-check", [*program.command[:-1], "check"], program.environment, program.log
    )


async def checked(program: Program) -> list[Finding]:
    """What a service finds by its check; why it does not even start, if it does not."""
    process = await asyncio.create_subprocess_exec(
        *program.command,
        env=dict(program.environment),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), _CHECK_LIMIT_S)
    except TimeoutError:
        process.kill()
        remedy = "try again; then see whether the database answers"
        return [_finding(program.name, "failed", f"no end in {_CHECK_LIMIT_S:.0f} s", remedy)]
    found = [_told(program.name, line) for line in out.splitlines()]
    if process.returncode:
        lines = err.decode(errors="replace").splitlines() or [f"exit code {process.returncode}"]
        found += [_refused(program.name, line) for line in lines]
    return found


def _told(name: str, line: bytes) -> Finding:
    """A finding, as a service writes it; one of its own for a line that is none."""
    try:
        said = json.loads(line)
        return {key: str(said[key]) for key in ("check", "state", "found", "remedy")}
    except (ValueError, LookupError, TypeError):
        text = line[:_LONGEST_LINE].decode(errors="replace")
        return _finding(name, "failed", f"says what is no finding: {text}", "see what writes it")


def _refused(name: str, line: str) -> Finding:
    """Why a service does not start, such as `ENV=production needs … [tls.issuer]`."""
    marked = _LINE.search(line)
    return _finding(
        marked[1] if marked else "settings.readable",
        "failed",
        f"{name.removesuffix('-check')} does not start",
        line[: marked.start()].strip() if marked else line,
    )


def _space(root: Path) -> Finding:
    place = next(one for one in (root, *root.parents) if one.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GiB free at {place}"
    if free < _LEAST_SPACE:
        return _finding("disk.space", "failed", found, "make room, or use another --data-dir")
    return _finding("disk.space", "ok", found)


def _files(data: DataDir) -> Iterator[Finding]:
    """Files with secrets are for their owner alone."""
    for path in (data.secrets, Path(".env").absolute()):
        if not path.exists():
            continue
        mode = path.stat().st_mode & 0o777
        if mode & _PRIVATE:
            remedy = f"chmod 600 {path}"
            yield _finding("secrets.files", "failed", f"others may read {path}", remedy)
        else:
            yield _finding("secrets.files", "ok", f"{path} is its owner's alone")


def _ports() -> Iterator[Finding]:
    usual = foreground.Asked()
    for port, what, option in (
        (usual.port, "the gateway", "--port"),
        (usual.auth_port, "auth", "--auth-port"),
        (usual.audit_port, "audit", "--audit-port"),
    ):
        try:
            ports.refuse_taken(usual.host, port, what, option)
        except Problem as problem:
            found, _, remedy = str(problem).partition("; ")
            yield _finding("ports.free", "warning", found, remedy.rstrip("."))
        else:
            yield _finding("ports.free", "ok", f"{port} for {what}")


async def _processes(state: Mapping[str, Any]) -> AsyncIterator[Finding]:
    for service in _SERVICES:
        for address in state[f"{service}_addresses"]:
            if await health.grpc_check(address)():
                yield _finding("health.services", "ok", f"{service} serves at {address}")
            else:
                remedy = f"its log says why: {state['logs_dir']}/{service}-0.log"
                found = f"{service} does not serve at {address}"
                yield _finding("health.services", "failed", found, remedy)


def _keys_differ(programs: list[Program]) -> Finding:
    auth, audit = (
        program.environment.get(f"{service.upper()}_KEY_ENCRYPTION_KEY")
        for service, program in zip(_SERVICES, programs, strict=True)
    )
    if auth == audit:
        remedy = "give auth and audit keys of their own: openssl rand -base64 32"
        return _finding("secrets.keys-differ", "failed", "auth and audit share a key", remedy)
    return _finding("secrets.keys-differ", "ok", "auth and audit have keys of their own")


async def _in_production(
    plan: services.Plan,
    named: Mapping[str, str],
    state: Mapping[str, Any],
    backups: Path | None,
) -> AsyncIterator[Finding]:
    """The lines of docs/production.md that only matter there."""
    workers = {service: len(state.get(f"{service}_addresses", ())) for service in _SERVICES}
    for service, count in workers.items():
        enough = count >= _LEAST_WORKERS
        yield _finding(
            "workers.count",
            "ok" if enough else "failed",
            f"{service} has {count} processes",
            "" if enough else "run `up` with --workers 2 or more",
        )
    yield await asyncio.to_thread(_metrics, state)
    if named.get("SENTRY_DSN"):
        yield _finding("errors.tracking", "ok", "defects are reported by SENTRY_DSN")
    else:
        remedy = "set SENTRY_DSN, or watch the logs for level=error"
        yield _finding("errors.tracking", "warning", "defects are only logged", remedy)
    async for finding in _database(plan, named, sum(workers.values()), backups):
        yield finding


def _metrics(state: Mapping[str, Any]) -> Finding:
    """Whether each process shows its metrics, on this machine alone."""
    try:
        targets = json.loads(Path(state["metrics"]).read_text())
        for target in targets:
            path = target["labels"].get("__metrics_path__", "/metrics")
            for address in target["targets"]:
                url = f"http://{address}{path}"
                with _DIRECTLY.open(url, timeout=_METRICS_LIMIT_S):
                    pass
    except (OSError, ValueError, LookupError) as error:
        remedy = "let a Prometheus read them: see docs/metrics.md"
        return _finding("health.metrics", "warning", f"not all can be read: {error}", remedy)
    return _finding(
        "health.metrics", "ok", f"of {len(targets)} processes, as in {state['metrics']}"
    )


async def _database(
    plan: services.Plan, named: Mapping[str, str], workers: int, backups: Path | None
) -> AsyncIterator[Finding]:
    """What only the owner of the database may ask."""
    try:
        pool = largest_pool(named)
        async with await psycopg.AsyncConnection.connect(
            plan.owner_url, connect_timeout=5, application_name="smart-audit doctor"
        ) as connection:
            rows = await connection.execute(
                "SELECT current_setting('max_connections')::int, current_setting('archive_mode'),"
                " (SELECT last_archived_time FROM pg_stat_archiver)"
            )
            most, archiving, archived_at = await rows.fetchone() or (0, "off", None)
    except psycopg.Error as error:
        yield _finding("database.connections", "failed", str(error).splitlines()[0], "see above")
        return
    except Problem as problem:
        found, _, remedy = str(problem).partition("; ")
        yield _finding("database.connections", "failed", found, remedy)
        return
    needed = workers * pool + _SPARE_CONNECTIONS
    enough = most >= needed
    yield _finding(
        "database.connections",
        "ok" if enough else "failed",
        f"max_connections is {most}, and {needed} are needed",
        "" if enough else f"set max_connections to {needed} or more, or start fewer workers",
    )
    if backups is not None:
        yield _dumped(backups)
    else:
        yield _archived(archived_at if archiving != "off" else None)


def largest_pool(named: Mapping[str, str]) -> int:
    """Connections per process, of the service that has more. Raises: Problem."""
    sizes = []
    for service in _SERVICES:
        name = f"{service.upper()}_DATABASE_POOL_SIZE"
        size = named.get(name, str(_POOL_SIZE))
        if not size.isdecimal():
            raise Problem(f"{name} is {size!r}; set it to a whole number, or not at all")
        sizes.append(int(size))
    return max(sizes)


def _archived(at: datetime | None) -> Finding:
    """Whether the server has archived its write-ahead log of late."""
    if at is not None and datetime.now(UTC) - at < _BACKUP_AGE:
        return _finding("backups.recent", "ok", f"write-ahead log archived at {at:%F %T} UTC")
    return _finding(
        "backups.recent",
        "failed",
        "nothing of the server's write-ahead log was archived for a day",
        "name the folder of `smart-audit backup` by --backups, or see to archive_command",
    )


def _dumped(folder: Path) -> Finding:
    """Whether `smart-audit backup` has made a whole backup of late."""
    remedy = f"run daily: smart-audit backup {folder}"
    made = max(folder.glob(f"*/{backup.MANIFEST}"), default=None)
    if made is None:
        return _finding("backups.recent", "failed", f"no backup in {folder}", remedy)
    try:
        made_at = datetime.fromisoformat(backup.read_manifest(made.parent)["made_at"])
    except (Problem, ValueError) as error:
        return _finding("backups.recent", "failed", str(error), remedy)
    state = "ok" if datetime.now(UTC) - made_at < _BACKUP_AGE else "failed"
    found = f"{made.parent} was made at {made_at:%F %T} UTC"
    return _finding("backups.recent", state, found, "" if state == "ok" else remedy)


def _finding(check: str, state: str, found: str, remedy: str = "") -> Finding:
    return {"check": check, "state": state, "found": found, "remedy": remedy}
