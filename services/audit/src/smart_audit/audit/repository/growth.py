"""How much all logs hold together."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection


class Growth(NamedTuple):
    """Sums over all logs."""

    logs: int
    entries: int
    unprojected: int
    """Entries that search does not know yet."""
    unprojected_since: datetime | None
    """When the oldest of them was recorded."""


async def growth(connection: AsyncConnection) -> Growth:
    """How much all logs hold now."""
    found = func.audit.growth().table_valued(*Growth._fields)
    return Growth(*(await connection.execute(select(found))).one())
