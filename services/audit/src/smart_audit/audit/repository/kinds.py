"""What the events of a log are like, out of the distinct kinds of event that search keeps."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.tables import phrases

MOST = 10_000


class KindReader:
    """Reads the kinds of event of one log in one transaction."""

    def __init__(self, connection: AsyncConnection, organisation_id: OrganisationId) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def actions(self) -> list[str]:
        """The actions that its events have."""
        return await self._distinct(phrases.c.action)

    async def sources(self) -> list[str]:
        """The programs that have reported its events."""
        return await self._distinct(phrases.c.source)

    async def target_types(self) -> list[str]:
        """The kinds of target that its events have."""
        return await self._distinct(func.unnest(phrases.c.target_types))

    async def _distinct(self, column: Any) -> list[str]:
        mine = phrases.c.organisation_id == self._organisation_id
        found = await self._connection.scalars(select(column).where(mine).distinct().limit(MOST))
        return [text for text in found if text]
