"""Place, release and list legal holds."""

from dataclasses import replace

from smart_audit.audit.domain import Actor, EventId, OrganisationId
from smart_audit.audit.errors import HoldNotFound
from smart_audit.audit.governance import (
    PLACE_HOLD,
    RELEASE_HOLD,
    Held,
    Hold,
    HoldPosition,
    hold_facts,
    release_facts,
)
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.governance import (
    GovernanceReader,
    Unneeded,
    adding_hold,
    releasing_hold,
)
from smart_audit.audit.use_cases.own_events import Governing, append_own, own_event


async def place_hold(
    organisation_id: OrganisationId,
    held: Held,
    reason: str,
    by: Actor,
    database: Database,
    deps: Governing,
) -> Hold:
    """Place a hold; from now on nothing of what it covers is removed or erased."""
    new = own_event(organisation_id, PLACE_HOLD, by, hold_facts(held), deps, reason=reason)
    hold = Hold(new.event.id, held, reason, by.id, new.event.occurred_at)
    await append_own(new, adding_hold(organisation_id, hold), database, deps)
    return hold


async def release_hold(
    organisation_id: OrganisationId,
    hold_id: EventId,
    by: Actor,
    database: Database,
    deps: Governing,
) -> Hold:
    """Release a hold; releasing it again changes nothing. Raises: HoldNotFound."""
    hold = await _get(organisation_id, hold_id, database)
    if hold.released_at is not None:
        return hold
    new = own_event(organisation_id, RELEASE_HOLD, by, release_facts(hold_id), deps)
    released_at = new.event.occurred_at
    effect = releasing_hold(organisation_id, hold_id, released_at)
    try:
        await append_own(new, effect, database, deps)
    except Unneeded:
        return await _get(organisation_id, hold_id, database)
    return replace(hold, released_at=released_at)


async def list_holds(
    organisation_id: OrganisationId, after: HoldPosition | None, limit: int, database: Database
) -> tuple[list[Hold], HoldPosition | None]:
    """A page of holds, the latest first, and where it ends if there are more."""
    async with database.transaction(organisation_id) as connection:
        found = await GovernanceReader(connection, organisation_id).holds(after, limit + 1)
    page = found[:limit]
    return page, page[-1].position if len(found) > limit else None


async def _get(organisation_id: OrganisationId, hold_id: EventId, database: Database) -> Hold:
    async with database.transaction(organisation_id) as connection:
        hold = await GovernanceReader(connection, organisation_id).hold(hold_id)
    if hold is None:
        raise HoldNotFound("this log has no such hold", hold_id=str(hold_id))
    return hold
