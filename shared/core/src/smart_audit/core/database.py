"""The database of a service: an engine on psycopg."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import psycopg
from prometheus_client import Gauge
from psycopg import sql
from sqlalchemy import event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from smart_audit.core import tracing

STATEMENT_TIMEOUT_MS = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
IDLE_S = 1.0
RETURNED_AT = "smart_audit.returned_at"
USED = Gauge(
    "smart_audit_database_connections_used", "Connections of a pool that are in use.", ["pool"]
)
MOST = Gauge("smart_audit_database_connections_max", "Connections that a pool may have.", ["pool"])
NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@asynccontextmanager
async def open_engine(
    url: str, *, pool_size: int, application: str, options: str = ""
) -> AsyncIterator[AsyncEngine]:
    """An engine on psycopg 3 for a `postgresql://` URL; its connections are closed at the end.

    What it runs is committed at once, except in a `transaction`.

    options: further ones of Postgres for each connection, as in "-c enable_seqscan=off".

    A statement that takes longer than 30 s is ended by the server, so that a lost client cannot
    hold a log's head row for ever.
    """
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        isolation_level="AUTOCOMMIT",
        # The connection that was used last: its backend has statements and tables at hand.
        pool_use_lifo=True,
        # Values of a failed statement would go into its error, and from there into the log.
        hide_parameters=True,
        connect_args=connect_args(application, options),
    )
    _ask_the_idle(engine)
    tracing.watch_statements(engine.sync_engine)
    USED.labels(application).set_function(engine.sync_engine.pool.checkedout)  # type: ignore[attr-defined]
    MOST.labels(application).set(pool_size)
    try:
        yield engine
    finally:
        await engine.dispose()


@asynccontextmanager
async def transaction(
    engine: AsyncEngine, settings: Mapping[str, str] = NO_SETTINGS, *, consistent: bool = False
) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed at the end and rolled back when an exception passes.

    settings: of Postgres, which hold in it. They come with BEGIN, in one round trip; SQLAlchemy and
    psycopg would send them one after the other. consistent: all of it sees one moment (REPEATABLE
    READ).
    """
    async with engine.connect() as connection:
        driver = await driver_of(connection)
        try:
            # Several statements in one text cannot be prepared.
            await driver.execute(_begin(tuple(settings.items()), consistent), prepare=False)
        except psycopg.OperationalError:
            # Of connections that are gone the pool hears by its own statements.
            await connection.exec_driver_sql("SELECT")
            raise
        yield connection
        await driver.commit()


async def driver_of(connection: AsyncConnection) -> "psycopg.AsyncConnection[Any]":
    """The connection of psycopg that a transaction runs on."""
    raw = await connection.get_raw_connection()
    driver: psycopg.AsyncConnection[Any] = raw.driver_connection  # type: ignore[assignment]
    return driver


@lru_cache(maxsize=1024)
def _begin(settings: tuple[tuple[str, str], ...], consistent: bool) -> bytes:  # noqa: FBT001
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ" if consistent else "BEGIN"
    if not settings:
        return begin.encode()
    configured = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(name, value) for name, value in settings
    )
    return sql.SQL("{}; SELECT {}").format(sql.SQL(begin), configured).as_bytes()


def _ask_the_idle(engine: AsyncEngine) -> None:
    """Ask a connection whether it lives before it is used again, if it was idle for long.

    After a restart of the database the pool holds dead connections, and asking saves the caller an
    error; asking each time, as SQLAlchemy does, would cost each transaction a round trip.
    """
    pool, dialect = engine.sync_engine.pool, engine.sync_engine.dialect

    def returned(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info[RETURNED_AT] = time.monotonic()

    def taken(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get(RETURNED_AT, float("inf")) < IDLE_S:
            return
        try:
            dialect.do_ping(connection)
        except psycopg.Error as error:
            raise DisconnectionError from error

    event.listen(pool, "checkin", returned)
    event.listen(pool, "checkout", taken)


def connect_args(application: str, options: str = "") -> dict[str, Any]:
    """How psycopg connects."""
    return {
        "application_name": application,
        # A network that swallows packets must not hold a connection for a quarter of an hour.
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS}"
        f" -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}"
        f" -c timezone=UTC {options}",
    }
