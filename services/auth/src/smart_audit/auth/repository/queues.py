"""Queues in tables: taken by several processes, each entry due again until it is removed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

# Whoever takes an entry puts it off at once, for longer each time, and removes it once it is done.
TAKE = """
    WITH due AS MATERIALIZED (
        SELECT position FROM {table} AS queue
        WHERE next_attempt_at <= :now AND {condition}
        ORDER BY next_attempt_at, position
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    UPDATE {table} AS queue SET
        attempts = attempts + 1,
        next_attempt_at = :now + least(:first_delay * power(2, least(attempts, 20)), :last_delay)
    FROM due WHERE queue.position = due.position
    RETURNING queue.position, {columns}
"""


QUEUED = "queued"


class Queue(Enum):
    """What works beside the calls, and has to be woken when there is something to do."""

    EVENTS = "events"
    MAILS = "mails"
    ERASURES = "erasures"


def queued(connection: AsyncConnection, queue: Queue) -> None:
    """Note that this transaction puts something into a queue."""
    connection.info[QUEUED].add(queue)


async def take(
    connection: AsyncConnection,
    table: Table,
    columns: Sequence[str],
    *,
    limit: int,
    now: datetime,
    delays: tuple[timedelta, timedelta],
    condition: str = "true",
) -> list[tuple[Any, ...]]:
    """Take what is due: (position, *columns) of each. It is due again after a delay that doubles.

    delays: the first, which an attempt must not outlast, and the longest.
    """
    first_delay, last_delay = delays
    named = ", ".join(f"queue.{column}" for column in columns)
    statement = TAKE.format(table=table.fullname, columns=named, condition=condition)
    values = {
        "now": now,
        "limit": limit,
        "first_delay": first_delay,
        "last_delay": last_delay,
    }
    return [tuple(row) for row in await connection.execute(text(statement), values)]
