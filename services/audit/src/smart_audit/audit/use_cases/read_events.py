"""Read events back."""

from collections.abc import Iterator

from smart_audit.audit.domain import (
    MAX_PAGE_BYTES,
    EventId,
    Filter,
    OrganisationId,
    Position,
    Recorded,
)
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
    page = list(_fitting(found[:limit]))
    if len(page) == len(found):
        return page, None
    last = page[-1]
    return page, Position(last.event.occurred_at, last.log_index)


def _fitting(found: list[Recorded]) -> Iterator[Recorded]:
    """The first events that fit into one answer, at least one (AIP-158: pages may be short)."""
    size = 0
    for one in found:
        size += one.size
        if size > MAX_PAGE_BYTES and size > one.size:
            return
        yield one
