"""The database of a service: an engine on psycopg."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy import event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

STATEMENT_TIMEOUT_MS = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000
IDLE_S = 1.0
RETURNED_AT = "smart_audit.returned_at"


@asynccontextmanager
async def open_engine(
    url: str, *, pool_size: int, application: str, options: str = ""
) -> AsyncIterator[AsyncEngine]:
    """An engine on psycopg 3 for a `postgresql://` URL; its connections are closed at the end.

    options: further ones of Postgres for each connection, as in "-c enable_seqscan=off".

    A statement that takes longer than 30 s is ended by the server, so that a lost client cannot
    hold a log's head row for ever.
    """
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        # The connection that was used last: its backend has statements and tables at hand.
        pool_use_lifo=True,
        # Values of a failed statement would go into its error, and from there into the log.
        hide_parameters=True,
        connect_args=connect_args(application, options),
    )
    _ask_the_idle(engine)
    try:
        yield engine
    finally:
        await engine.dispose()


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
