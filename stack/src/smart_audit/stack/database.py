"""What the stack asks of any database, embedded or outside: is it usable, who may enter."""

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from smart_audit.stack.problem import Problem
from smart_audit.stack.supervisor import Supervisor

ROLES = {"auth": "smart_audit_auth", "audit": "smart_audit_audit"}
"""Of the services."""

_OLDEST_VERSION = 17
_CONNECT_LIMIT_S = 5
_TRY_AGAIN_S = 0.05
_START_LIMIT_S = 60.0
_MIGRATIONS = "migrations/versions/[0-9]*.py"


def normalised(url: str) -> str:
    """Return the address in libpq's own form: other tools add a driver to the scheme.

    Raises: Problem when it is not the address of a Postgres database.
    """
    scheme, _, rest = url.strip().partition("://")
    found = f"postgresql://{rest}"
    try:
        conninfo_to_dict(found)
        urlsplit(found)
    except (psycopg.Error, ValueError):
        rest = ""
    if not rest or scheme.partition("+")[0] not in ("postgres", "postgresql"):
        raise Problem("DATABASE_URL must look like postgresql://user:password@host:5432/database.")
    return found


def for_role(url: str, role: str, password: str) -> str:
    """Return the same address for another role."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    entry = f"{role}:{quote(password, safe='')}@{place}"
    return urlunsplit(parts._replace(netloc=entry))


def shown(url: str) -> str:
    """Return host, port and database of an address, and nothing secret."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2] or 'local socket'}{parts.path}"


async def check_outside(url: str) -> None:
    """Refuse an outside database that is out of reach, too old, or without pgvector.

    Raises: Problem.
    """
    try:
        async with await _connect(url) as connection:
            version = connection.info.server_version // 10_000
            found = await connection.execute(
                "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
            )
            has_vector = await found.fetchone() is not None
    except psycopg.Error as error:
        raise Problem(
            f"Cannot reach the database of DATABASE_URL at {shown(url)} ({_first_line(error)}); "
            "start it, correct the address, or unset DATABASE_URL to use the embedded one."
        ) from error
    if version < _OLDEST_VERSION:
        raise Problem(
            f"The database of DATABASE_URL is PostgreSQL {version}, and Smart Audit needs "
            f"{_OLDEST_VERSION} or newer; upgrade it, or unset DATABASE_URL."
        )
    if not has_vector:
        raise Problem(
            "The database server of DATABASE_URL lacks the extension pgvector; "
            "install it there (package postgresql-NN-pgvector), or unset DATABASE_URL."
        )


async def holds_data(url: str) -> bool:
    """Say whether the database already has our schemas."""
    async with await _connect(url) as connection:
        found = await connection.execute(
            "SELECT 1 FROM pg_namespace WHERE nspname IN ('auth', 'audit')"
        )
        return await found.fetchone() is not None


async def are_migrated(owner_url: str, urls: Mapping[str, str]) -> bool:
    """Say whether schemas have their newest revision, and their services get in.

    urls: the services' own addresses of the database, by their names.
    """
    try:
        async with await _connect(owner_url) as connection:
            for service, url in urls.items():
                table = sql.Identifier(service, "alembic_version")
                query = sql.SQL("SELECT version_num FROM {}").format(table)
                found = await (await connection.execute(query)).fetchall()
                if found != [(_newest_revision(service),)]:
                    return False
                await (await _connect(url)).close()
    except psycopg.Error:
        return False
    return True


def _newest_revision(service: str) -> str:
    """Of its migrations, whose files' names begin with their revisions; nothing is imported."""
    found = find_spec(f"smart_audit.{service}")
    places = found.submodule_search_locations if found else None
    names = (file.name for place in places or () for file in Path(place).glob(_MIGRATIONS))
    return max(names, default="").partition("_")[0]


async def wait_for_server(url: str, supervisor: Supervisor) -> None:
    """Wait until the embedded server lets its superuser in, database or not.

    Raises: Problem when it keeps ending, does not answer in 60 s, or refuses the password.
    """
    deadline = asyncio.get_running_loop().time() + _START_LIMIT_S
    while True:
        supervisor.refuse_crash_loop()
        try:
            async with await _connect(url):
                return
        except psycopg.Error as error:
            if "password authentication failed" in str(error):
                raise Problem(
                    "The embedded database refuses the password in secrets.json; "
                    "put back the file that belongs to this data."
                ) from error
            if asyncio.get_running_loop().time() > deadline:
                raise Problem(
                    f"The embedded database does not answer ({_first_line(error)}); "
                    "see postgres.log."
                ) from error
        await asyncio.sleep(_TRY_AGAIN_S)


async def ensure_database(server_url: str, name: str) -> None:
    """Create a database of the embedded server when it is missing."""
    async with await _connect(server_url) as connection:
        await connection.set_autocommit(True)
        found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if await found.fetchone() is None:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


async def _connect(url: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    return await psycopg.AsyncConnection.connect(
        url, connect_timeout=_CONNECT_LIMIT_S, application_name="smart-audit up"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
