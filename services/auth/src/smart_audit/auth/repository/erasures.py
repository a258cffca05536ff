"""Erasures of persons in audit logs that are still to be done."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.domain import OrganisationId, UserId
from smart_audit.auth.repository.queues import Queue, queued, take
from smart_audit.auth.tables import affiliations, erasures, outbox

# Erased before its last events have come into the log, a person would be in there again.
ALL_TOLD = """NOT EXISTS (
    SELECT FROM auth.outbox WHERE refusal IS NULL AND outbox.position <= queue.after_position
)"""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person to erase in the log of one organisation."""

    position: int
    organisation_id: OrganisationId
    user_id: UserId
    attempts: int


class Erasures:
    """Erasures on their way to audit."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def concerned(self, user_id: UserId) -> list[OrganisationId]:
        """The organisations that a user is or was a member of."""
        statement = select(affiliations.c.organisation_id).where(affiliations.c.user_id == user_id)
        return list((await self._connection.execute(statement)).scalars())

    async def add(
        self, user_id: UserId, organisation_ids: Iterable[OrganisationId], due: datetime
    ) -> None:
        """Erase a person in the logs of organisations, after all events that wait now."""
        queued(self._connection, Queue.ERASURES)
        told = select(func.coalesce(func.max(outbox.c.position), 0)).scalar_subquery()
        for organisation_id in organisation_ids:
            await self._connection.execute(
                insert(erasures).values(
                    organisation_id=organisation_id,
                    user_id=user_id,
                    after_position=told,
                    next_attempt_at=due,
                )
            )

    async def take(
        self, limit: int, now: datetime, delays: tuple[timedelta, timedelta]
    ) -> list[Erasure]:
        """Take what is due; each erasure is due again later, until it is removed."""
        columns = ("organisation_id", "user_id", "attempts")
        rows = await take(
            self._connection,
            erasures,
            columns,
            limit=limit,
            now=now,
            delays=delays,
            condition=ALL_TOLD,
        )
        return [Erasure(*row) for row in rows]

    async def remove(self, position: int) -> None:
        """Forget an erasure that is done."""
        await self._connection.execute(delete(erasures).where(erasures.c.position == position))

    async def count(self) -> int:
        """How many there are."""
        return await self._connection.scalar(select(func.count()).select_from(erasures)) or 0
