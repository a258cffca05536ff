"""Read events back."""

from smart_audit.audit.domain import EventId, Filter, OrganisationId, Position, Recorded
from smart_audit.audit.errors import EventNotFound
from smart_audit.audit.repository import Database


async def get_event(
    event_id: EventId, organisation_id: OrganisationId, database: Database
) -> Recorded:
    """One event. Raises: EventNotFound, LogDamaged."""
    async with database.begin(organisation_id) as log:
        recorded = await log.get(event_id)
    if recorded is None:
        raise EventNotFound("no such event in this log", event_id=str(event_id))
    return recorded


async def list_events(
    narrow: Filter,
    after: Position | None,
    limit: int,
    organisation_id: OrganisationId,
    database: Database,
) -> tuple[list[Recorded], Position | None]:
    """A page of events, the latest first, and where it ends if there are more.

    Raises: LogDamaged.
    """
    async with database.begin(organisation_id) as log:
        found = await log.page(narrow, after, limit + 1)
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], Position(last.event.occurred_at, last.log_index)
