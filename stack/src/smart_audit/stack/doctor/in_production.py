"""The lines of docs/production.md that only matter there."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from smart_audit.stack import backup, services
from smart_audit.stack.doctor.finding import Finding, finding
from smart_audit.stack.problem import Problem

_SPARE_CONNECTIONS = 10
_POOL_SIZE = 10
_METRICS_LIMIT_S = 3.0
_LEAST_WORKERS = 2
_BACKUP_AGE = timedelta(days=1)
# What is on this machine is reached by no proxy, whatever the environment says.
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


async def findings(
    plan: services.Plan,
    named: Mapping[str, str],
    state: Mapping[str, Any],
    backups: Path | None,
) -> AsyncIterator[Finding]:
    """backups: the folder that `smart-audit backup` is given, if there is one."""
    workers = {service: len(state.get(f"{service}_addresses", ())) for service in services.NAMES}
    for service, count in workers.items():
        enough = count >= _LEAST_WORKERS
        yield finding(
            "workers.count",
            "ok" if enough else "failed",
            f"{service} has {count} processes",
            "" if enough else "run `up` with --workers 2 or more",
        )
    yield await asyncio.to_thread(_metrics, state)
    if named.get("SENTRY_DSN"):
        yield finding("errors.tracking", "ok", "defects are reported by SENTRY_DSN")
    else:
        remedy = "set SENTRY_DSN, or watch the logs for level=error"
        yield finding("errors.tracking", "warning", "defects are only logged", remedy)
    async for one in _database(plan, named, sum(workers.values()), backups):
        yield one


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
        return finding("health.metrics", "warning", f"not all can be read: {error}", remedy)
    return finding("health.metrics", "ok", f"of {len(targets)} processes, as in {state['metrics']}")


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
        yield finding("database.connections", "failed", str(error).splitlines()[0], "see above")
        return
    except Problem as problem:
        found, _, remedy = str(problem).partition("; ")
        yield finding("database.connections", "failed", found, remedy)
        return
    needed = workers * pool + _SPARE_CONNECTIONS
    enough = most >= needed
    yield finding(
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
    for service in services.NAMES:
        name = f"{service.upper()}_DATABASE_POOL_SIZE"
        size = named.get(name, str(_POOL_SIZE))
        if not size.isdecimal():
            raise Problem(f"{name} is {size!r}; set it to a whole number, or not at all")
        sizes.append(int(size))
    return max(sizes)


def _archived(at: datetime | None) -> Finding:
    """Whether the server has archived its write-ahead log of late."""
    if at is not None and datetime.now(UTC) - at < _BACKUP_AGE:
        return finding("backups.recent", "ok", f"write-ahead log archived at {at:%F %T} UTC")
    return finding(
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
        return finding("backups.recent", "failed", f"no backup in {folder}", remedy)
    try:
        made_at = datetime.fromisoformat(backup.read_manifest(made.parent)["made_at"])
    except (Problem, ValueError) as error:
        return finding("backups.recent", "failed", str(error), remedy)
    state = "ok" if datetime.now(UTC) - made_at < _BACKUP_AGE else "failed"
    found = f"{made.parent} was made at {made_at:%F %T} UTC"
    return finding("backups.recent", state, found, "" if state == "ok" else remedy)
