"""Opening the database: an engine for queries, and connections of their own for the append path."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg_pool import AsyncConnectionPool

from smart_audit.audit import arrays
from smart_audit.audit.repository import Database
from smart_audit.audit.settings import AuditSettings
from smart_audit.audit.wrapping import Wrapping
from smart_audit.core.database import MOST, USED, connect_args, open_engine
from smart_audit.core.sealing import Sealer

APPENDING = "smart-audit-audit-append"

# An index answers each query of the service. Statistics lag behind a log that grows, and a plan
# that was made when its tables had a page each would read the whole log at every call.
PLANNING = "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_sort=off"


@asynccontextmanager
async def open_database(settings: AuditSettings, sealer: Sealer) -> AsyncIterator[Database]:
    """The database; its connections are closed at the end."""
    url = settings.database_url.get_secret_value()

    async def configure(connection: Any) -> None:
        arrays.register(connection)

    async with (
        open_engine(
            url,
            pool_size=settings.database_pool_size,
            application="smart-audit-audit",
            options=PLANNING,
        ) as engine,
        # The append path is raw psycopg (see `append.py`) and begins its transactions itself.
        AsyncConnectionPool(
            url,
            kwargs={"autocommit": True, **connect_args(APPENDING, PLANNING)},
            min_size=1,
            max_size=settings.database_pool_size,
            configure=configure,
            open=False,
        ) as appenders,
    ):
        USED.labels(APPENDING).set_function(lambda: _used(appenders))
        MOST.labels(APPENDING).set(settings.database_pool_size)
        yield Database(engine, appenders, Wrapping(sealer))


def _used(pool: AsyncConnectionPool[Any]) -> int:
    now = pool.get_stats()
    return now["pool_size"] - now["pool_available"]
