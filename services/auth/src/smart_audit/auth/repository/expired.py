"""What has expired, in the database."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.auth.tables import metadata

# How long rows are kept after they have expired, by table. What somebody may still come with is
# refused more precisely while it is known.
KEPT: Mapping[str, timedelta] = {
    "cache": timedelta(0),
    "revocations": timedelta(0),
    "challenges": timedelta(days=1),
    "refresh_tokens": timedelta(days=1),
    "sessions": timedelta(days=1),
    "invitations": timedelta(days=30),
}


class Expired:
    """Rows whose time is over."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def remove(self, name: str, at: datetime, limit: int) -> int:
        """Remove rows of one of the tables of `KEPT`, so many at most. Returns how many.

        Rows that somebody holds are left for another time: nobody waits, and replicas that do this
        at once share the work.
        """
        table = metadata.tables[f"auth.{name}"]
        (key,) = table.primary_key
        doomed = (
            select(key)
            .where(table.c.expires_at < at - KEPT[name])
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        removed = await self._connection.execute(
            delete(table).where(key.in_(doomed)).returning(key)
        )
        return len(removed.all())
