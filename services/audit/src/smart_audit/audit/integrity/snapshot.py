"""Reading one log's rows: raw psycopg, for server-side cursors.

Nothing is taken for granted that a constraint would assure, since whoever may drop rows may drop
constraints, too: a column that is empty, or a time that Python cannot express, is None here.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from psycopg import AsyncConnection, AsyncServerCursor
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader
from psycopg.pq import Format, TransactionStatus
from psycopg.rows import args_row

from smart_audit.audit import arrays
from smart_audit.audit.integrity.findings import Finding, Watch

R = TypeVar("R")

PAGE = 256
"""Rows that are read at once."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECONDS = Struct(">q")

BEGIN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"

# The joins are looked up row by row, so that a cursor gives its first row at once and no plan
# gathers a whole log. A statement may take as long as it takes.
SETTINGS = """
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_sort = off;
SET LOCAL jit = off;
SET LOCAL timezone = 'UTC';
SET LOCAL statement_timeout = 0;
"""

SET_ORGANISATION = "SELECT set_config('audit.organisation_id', %s, true)"


class _Time(Loader):
    """A time, or None for those before the year 1, after 9999, and the infinite ones."""

    format = Format.BINARY

    def load(self, data: Buffer) -> datetime | None:
        (microseconds,) = _MICROSECONDS.unpack(data)
        try:
            return _EPOCH + timedelta(microseconds=microseconds)
        except OverflowError:
            return None


@asynccontextmanager
async def transaction(connection: AsyncConnection[Any]) -> AsyncIterator[None]:
    """One moment of the database: a snapshot of its own, or the transaction that is open already.

    The latter sees what that transaction has changed.
    """
    fresh = connection.info.transaction_status is TransactionStatus.IDLE
    async with connection.transaction():
        if fresh:
            await connection.execute(BEGIN)
        await connection.execute(SETTINGS)
        yield


class Snapshot:
    """The rows of one organisation, in one transaction or in several that follow each other.

    It gathers what is found.
    """

    def __init__(
        self, connection: AsyncConnection[Any], organisation_id: UUID, watch: Watch
    ) -> None:
        # Once, since each time makes classes, which stay until the collector looks at all there is.
        adapt(connection.adapters)
        arrays.register(connection)
        self._connection = connection
        self._watch = watch
        self._cursors = 0
        self._open: list[AsyncGenerator[list[Any]]] = []
        self._found: list[Finding] = []
        self.organisation_id = organisation_id
        self.reported = 0

    def report(self, table: str, place: str, problem: str) -> None:
        """Note a finding."""
        self.reported += 1
        self._found.append(Finding(table, self.organisation_id, place, problem))

    def findings(self) -> list[Finding]:
        """What has been found since the last call."""
        found, self._found = self._found, []
        return found

    async def fetch(
        self, make: Callable[..., R], query: str, parameters: Mapping[str, Any] | None = None
    ) -> list[R]:
        """A few rows."""
        async with self._connection.cursor(binary=True, row_factory=args_row(make)) as cursor:
            await cursor.execute(query, self._parameters(parameters))
            rows = await cursor.fetchall()
        await self._watch.rows(len(rows))
        return rows

    async def count(self, query: str, parameters: Mapping[str, Any] | None = None) -> int:
        """What a query for one number answers."""
        (number,) = await self.fetch(int, query, parameters)
        return number

    def pages(
        self,
        make: Callable[..., R],
        query: str,
        parameters: Mapping[str, Any] | None = None,
        size: int = PAGE,
    ) -> AsyncIterator[list[R]]:
        """Many rows, some at a time, until the transaction is left."""
        rows = self._pages(make, query, parameters or {}, size)
        self._open.append(rows)
        return rows

    async def leave(self) -> None:
        """Close what is still being read; the transaction ends."""
        while self._open:
            await self._open.pop().aclose()

    async def _pages(
        self, make: Callable[..., R], query: str, parameters: Mapping[str, Any], size: int
    ) -> AsyncGenerator[list[R]]:
        self._cursors += 1
        name = f"verify_{self._cursors}"
        cursor = AsyncServerCursor(self._connection, name, row_factory=args_row(make))
        try:
            await cursor.execute(query, self._parameters(parameters), binary=True)
            while rows := await cursor.fetchmany(size):
                await self._watch.rows(len(rows))
                yield rows
        finally:
            # A service that stops meanwhile must not leave it half closed.
            await asyncio.shield(cursor.close())

    def _parameters(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"organisation_id": self.organisation_id, **(given or {})}


class Stream(Generic[R]):
    """Rows that are taken one by one, beside others."""

    def __init__(self, pages: AsyncIterator[list[R]]) -> None:
        self._pages = pages
        self._rows: list[R] = []
        self._ended = False

    async def peek(self) -> R | None:
        """The next row, which stays; None after the last one."""
        if not self._rows and not self._ended:
            self._rows = (await anext(self._pages, []))[::-1]
            self._ended = not self._rows
        return self._rows[-1] if self._rows else None

    async def take(self) -> R | None:
        """The next row."""
        row = await self.peek()
        if row is not None:
            self._rows.pop()
        return row


def adapt(adapters: AdaptersMap) -> None:
    """Let times be read that Python cannot express."""
    adapters.register_loader("timestamptz", _Time)


def holes(row: NamedTuple, *allowed: str) -> str:
    """A sentence on the columns of a row that are empty and must not be; empty if there are none.

    allowed: columns that may be empty.
    """
    if None not in row:
        return ""
    names = [
        name
        for name, value in zip(row._fields, row, strict=True)
        if value is None and name not in allowed
    ]
    return f"{', '.join(names)}: empty, or out of range" if names else ""
