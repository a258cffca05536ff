"""How far the projection of a log has come: asked by every call that finds events."""

from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId

# As text, since to compile it would take as long as to run it.
LEVEL = """
SELECT coalesce(logs.size, 0), coalesce(done.size, 0), coalesce(done.generation, 0),
    coalesce(done.kinds, 0)
FROM (SELECT %s::uuid AS id) AS own
LEFT JOIN audit.logs ON logs.organisation_id = own.id
LEFT JOIN audit.projections AS done ON done.organisation_id = own.id
"""


class Level(NamedTuple):
    """How far a projection has come."""

    size: int
    """Of the log: its entries."""
    projected: int
    """How many of them are projected."""
    generation: int
    """How often the projection was made anew."""
    kinds: int
    """How often its kinds of event have changed in this generation."""

    @property
    def is_reached(self) -> bool:
        """Whether all that the log has is projected."""
        return self.projected >= self.size


async def level(connection: AsyncConnection, organisation_id: OrganisationId) -> Level:
    """How far the projection of a log has come."""
    row = (await connection.exec_driver_sql(LEVEL, (organisation_id,))).one()
    return Level._make(row)
