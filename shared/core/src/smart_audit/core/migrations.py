"""Migrations: Alembic, one schema per service, run as the owner of the database."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from alembic import command, context
from alembic.config import Config
from alembic.util.exc import CommandError
from psycopg import Connection, sql
from sqlalchemy import create_engine, make_url, text

from smart_audit.core.migrating import is_let_in

LOCK_ID = 0x5341_4D49  # one migration at a time in a database, whichever service runs it


def upgrade(owner_url: str, service_url: str, scripts: Path, schema: str) -> None:
    """Bring `schema` up to date, then give the service's role its password.

    Roles belong to the whole server and migrations to one database, so the password is set on
    each run and not in a migration.
    """
    config = Config()
    config.set_main_option("script_location", str(scripts))
    config.attributes["url"] = owner_url
    config.attributes["schema"] = schema
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        # Alembic names a revision that only its developers know what to do with.
        raise RuntimeError(
            f"{schema} cannot be migrated: {error}; a database that an unreleased version made "
            "has to be made anew"
        ) from error
    _set_password(owner_url, service_url)


def run_env() -> None:
    """What a service's `migrations/env.py` calls: run the migrations in one transaction."""
    attributes = context.config.attributes
    url = make_url(attributes["url"]).set(drivername="postgresql+psycopg")
    schema = attributes["schema"]
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": LOCK_ID})
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            context.configure(connection=connection, version_table_schema=schema)
            context.run_migrations()
    finally:
        engine.dispose()


def _set_password(owner_url: str, service_url: str) -> None:
    """Let the service's role in by the password of its URL, if it does not get in already."""
    parts = urlsplit(service_url)
    if not parts.username or not parts.password or is_let_in(service_url):
        return
    role, password = unquote(parts.username).encode(), unquote(parts.password).encode()
    with Connection.connect(owner_url) as connection:
        # Two services may set their roles' passwords at once, and Postgres refuses concurrent
        # updates of one catalogue row instead of queueing them.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_ID])
        # Hashed here, because the text of a statement may reach the server's log.
        hashed = connection.pgconn.encrypt_password(password, role, b"scram-sha-256")
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(
            statement.format(sql.Identifier(role.decode()), sql.Literal(hashed.decode()))
        )
