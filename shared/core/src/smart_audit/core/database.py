"""The database of a service: an engine, and one transaction per call."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

from sqlalchemy import func, make_url, select
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

R = TypeVar("R")

STATEMENT_TIMEOUT_MS = 30_000
IDLE_IN_TRANSACTION_TIMEOUT_MS = 60_000


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
        # After a restart of the database the pool holds dead connections; asking first costs a
        # round trip and saves the caller an error.
        pool_pre_ping=True,
        # Values of a failed statement would go into its error, and from there into the log.
        hide_parameters=True,
        connect_args=connect_args(application, options),
    )
    try:
        yield engine
    finally:
        await engine.dispose()


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


class UnitOfWork(Generic[R]):
    """Opens transactions and hands out the repositories that work in them."""

    def __init__(self, engine: AsyncEngine, repositories: Callable[[AsyncSession], R]) -> None:
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._repositories = repositories

    @asynccontextmanager
    async def begin(self, **settings: str) -> AsyncIterator[R]:
        """One transaction: committed at the end, rolled back when an exception passes.

        settings: Postgres settings for this transaction, with `__` for the dot in a name.
        """
        async with self._sessions.begin() as session:
            if settings:
                await session.execute(
                    select(
                        *(
                            func.set_config(name.replace("__", "."), value, True)  # noqa: FBT003
                            for name, value in settings.items()
                        )
                    )
                )
            yield self._repositories(session)
