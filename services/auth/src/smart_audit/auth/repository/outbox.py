"""Audit events on their way to audit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.repository.queues import Queue, queued
from smart_audit.auth.tables import outbox
from smart_audit.core import tracing

# The name of an advisory lock, held to the end of a transaction.
OUTBOX_LOCK = 0x5341_0002

# What sends the event goes on with the trace of the call that has decided it.
TRACE = "trace"

# Nobody asks for the position, so that it need not be sent back.
ADD = insert(outbox).inline()


class Waiting(NamedTuple):
    """What the outbox holds."""

    events: int
    """That wait to be sent."""
    refused: int
    """That are kept, and not sent again."""
    since: datetime | None
    """When the first that waits was decided."""


class Outbox:
    """Audit events that wait to be sent, in the order in which they were decided."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, event: Mapping[str, Any]) -> None:
        """Add an event, in the transaction of the decision that it tells of."""
        queued(self._connection, Queue.EVENTS)
        trace = tracing.here()
        kept = {**event, TRACE: trace} if trace else event
        await self._connection.execute(ADD, {"event": kept})

    async def lock(self) -> None:
        """Keep other processes from sending until the end of the transaction."""
        await self._connection.execute(select(func.pg_advisory_xact_lock(OUTBOX_LOCK)))

    async def next(self, limit: int) -> list[tuple[int, dict[str, Any]]]:
        """The first events that wait: (position, event)."""
        statement = (
            select(outbox.c.position, outbox.c.event)
            .where(outbox.c.refusal.is_(None))
            .order_by(outbox.c.position)
            .limit(limit)
        )
        return [(row.position, row.event) for row in await self._connection.execute(statement)]

    async def waiting(self) -> Waiting:
        """How many events wait, and since when."""
        refused = func.count(outbox.c.refusal)
        counts = (await self._connection.execute(select(func.count() - refused, refused))).one()
        first = await self.next(1)
        since = datetime.fromisoformat(first[0][1]["occurred_at"]) if first else None
        return Waiting(*counts, since)

    async def remove(self, positions: Sequence[int]) -> None:
        """Forget events that are in the log."""
        await self._connection.execute(delete(outbox).where(outbox.c.position.in_(positions)))

    async def set_aside(self, position: int, refusal: str) -> None:
        """Keep an event that audit refused, out of the way of the others."""
        await self._connection.execute(
            update(outbox).where(outbox.c.position == position).values(refusal=refusal)
        )
