"""What a service sees of itself: `python -m smart_audit.<service> check`, for `smart-audit doctor`.

One JSON object a line on stdout. `check` is a line of docs/production.md, or a name of its own;
`state` is ok, warning or failed; `found` is what is, and `remedy` how to mend it.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import orjson
import psycopg
from psycopg import AsyncConnection, sql

from smart_audit.core import migrating
from smart_audit.core.database import connect_args
from smart_audit.core.settings import ServiceSettings

State = Literal["ok", "warning", "failed"]

OLDEST_SERVER: Final = 17
OLDEST_VECTOR: Final = (0, 8, 4)
MOST_CLOCK_OFFSET: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. remedy: empty when nothing is to be done."""

    check: str
    state: State
    found: str
    remedy: str = ""


async def tell(findings: AsyncIterator[Finding]) -> None:
    """Write findings, a line each."""
    async for finding in findings:
        sys.stdout.write(orjson.dumps(asdict(finding)).decode() + "\n")
        sys.stdout.flush()


def settings_findings(settings: ServiceSettings) -> Iterator[Finding]:
    """What production would refuse; in production nothing of it gets so far."""
    prefix = settings.model_config.get("env_prefix", "")
    name = prefix.rstrip("_").lower()
    if settings.env == "production":
        yield Finding("settings.production", "ok", f"{name}: ENV=production")
    else:
        yield Finding(
            "settings.production", "warning", f"{name}: ENV={settings.env}", "set ENV=production"
        )
    for one in settings.insecure():
        yield Finding(one.line, "warning", f"{name}: not fit for production", f"set {one.remedy}")


async def database_findings(
    settings: ServiceSettings, schema: str, scripts: Path
) -> AsyncIterator[Finding]:
    """The database as the service's role sees it, and the schema as its owner does."""
    url = settings.database_url.get_secret_value()
    try:
        connection = await AsyncConnection.connect(
            url, autocommit=True, **connect_args(f"smart-audit-{schema}-check")
        )
    except psycopg.OperationalError as error:
        yield Finding(
            "database.reachable",
            "failed",
            f"{schema}: {_first_line(error)}",
            f"start the database, or correct {schema.upper()}_DATABASE_URL",
        )
        return
    async with connection:
        yield Finding("database.reachable", "ok", f"{schema}: its role is let in")
        yield _version(connection.info.server_version, await _vector(connection))
        yield await _clock(connection)
        yield await _role(connection, schema)
    yield await _migrated(settings, schema, scripts)


async def _vector(connection: "AsyncConnection[Any]") -> str:
    rows = await connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
    row = await rows.fetchone()
    return str(row[0]) if row else ""


def _version(server: int, vector: str) -> Finding:
    found = f"PostgreSQL {server // 10_000}.{server % 10_000}, pgvector {vector or 'missing'}"
    if server // 10_000 < OLDEST_SERVER:
        remedy = f"upgrade the server to PostgreSQL {OLDEST_SERVER} or newer"
        return Finding("database.version", "failed", found, remedy)
    if not vector:
        remedy = "install the extension pgvector on the server, and run `migrate`"
        return Finding("database.version", "failed", found, remedy)
    if tuple(int(part) for part in vector.split(".") if part.isdecimal()) < OLDEST_VECTOR:
        oldest = ".".join(map(str, OLDEST_VECTOR))
        remedy = f"install pgvector {oldest} or newer, then: ALTER EXTENSION vector UPDATE"
        return Finding("database.version", "failed", found, remedy)
    return Finding("database.version", "ok", found)


async def _clock(connection: "AsyncConnection[Any]") -> Finding:
    before = datetime.now(UTC)
    rows = await connection.execute("SELECT clock_timestamp()")
    row = await rows.fetchone()
    after = datetime.now(UTC)
    assert row is not None  # noqa: S101  (a SELECT without FROM has one row)
    # The answer was given at some moment between the two; all of that span is agreement.
    offset = max(before - row[0], row[0] - after, timedelta(0))
    found = f"the database's clock is {offset.total_seconds():.1f} s away from this one"
    if offset > MOST_CLOCK_OFFSET:
        remedy = "synchronise both clocks (NTP): tokens and events carry times"
        return Finding("clock.synchronised", "failed", found, remedy)
    return Finding("clock.synchronised", "ok", found)


async def _role(connection: "AsyncConnection[Any]", schema: str) -> Finding:
    rows = await connection.execute(
        "SELECT rolname, rolsuper, rolbypassrls,"
        " EXISTS (SELECT 1 FROM pg_class WHERE relowner = pg_roles.oid)"
        " FROM pg_roles WHERE rolname = current_user"
    )
    row = await rows.fetchone()
    name, is_super, bypasses, owns = row or ("nobody", False, False, False)
    faults = [
        what
        for has, what in (
            (is_super, "is a superuser"),
            (bypasses, "bypasses row-level security"),
            (owns, "owns tables"),
        )
        if has
    ]
    if faults:
        return Finding(
            "database.roles",
            "failed",
            f"{name} {' and '.join(faults)}",
            f"give {schema.upper()}_DATABASE_URL the role smart_audit_{schema}, which `migrate` "
            "makes",
        )
    return Finding("database.roles", "ok", f"{name} may do no more than {schema} has to")


async def _migrated(settings: ServiceSettings, schema: str, scripts: Path) -> Finding:
    newest = migrating.newest(scripts)
    owner = settings.migration_database_url
    if owner is None:
        return Finding(
            "database.migrated",
            "warning",
            f"{schema}: only the owner of the database sees how far it is migrated",
            f"set {schema.upper()}_MIGRATION_DATABASE_URL",
        )
    query = sql.SQL("SELECT version_num FROM {}").format(sql.Identifier(schema, "alembic_version"))
    try:
        async with await AsyncConnection.connect(
            owner.get_secret_value(), **connect_args(f"smart-audit-{schema}-check")
        ) as connection:
            row = await (await connection.execute(query)).fetchone()
    except psycopg.Error as error:
        found = f"{schema}: {_first_line(error)}"
        return Finding("database.migrated", "failed", found, "run `migrate`")
    at = row[0] if row else "nothing"
    if at != newest:
        found = f"{schema} is at {at}, and the code at {newest}"
        return Finding("database.migrated", "failed", found, "run `migrate`")
    return Finding("database.migrated", "ok", f"{schema} is at {at}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
