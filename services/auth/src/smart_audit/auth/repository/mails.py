"""Mails on their way out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.repository.queues import Queue, queued, take
from smart_audit.auth.tables import mails


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail that waits. It is sealed, since it may hold a secret."""

    position: int
    sealed_message: bytes
    attempts: int
    """The one under way included."""


class Mails:
    """Mails that wait to be handed over."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, sealed_message: bytes, at: datetime) -> None:
        """Queue a mail, in the transaction of the change that it tells of."""
        queued(self._connection, Queue.MAILS)
        await self._connection.execute(
            insert(mails).values(sealed_message=sealed_message, created_at=at, next_attempt_at=at)
        )

    async def take(
        self, limit: int, now: datetime, delays: tuple[timedelta, timedelta]
    ) -> list[QueuedMail]:
        """Take what is due; each mail is due again later, until it is removed."""
        columns = ("sealed_message", "attempts")
        rows = await take(self._connection, mails, columns, limit=limit, now=now, delays=delays)
        return [QueuedMail(*row) for row in rows]

    async def remove(self, position: int) -> None:
        """Forget a mail."""
        await self._connection.execute(delete(mails).where(mails.c.position == position))

    async def count(self) -> int:
        """How many there are."""
        return await self._connection.scalar(select(func.count()).select_from(mails)) or 0
