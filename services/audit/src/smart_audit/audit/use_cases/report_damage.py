"""Tell a log that something in it was changed."""

from typing import Any

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.governance import INTEGRITY_FAILED, damage_facts
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.damage import has_told
from smart_audit.audit.use_cases.own_events import SERVICE, Governing, append_own, own_event


async def report_damage(
    organisation_id: OrganisationId, table: str, place: str, database: Database, deps: Governing
) -> None:
    """Record an event about damage, unless the log has one about this place already."""
    facts = damage_facts(table, place)
    async with database.transaction(organisation_id) as connection:
        if await has_told(connection, organisation_id, facts):
            return
    new = own_event(organisation_id, INTEGRITY_FAILED, SERVICE, facts, deps)
    await append_own(new, _no_effect, database, deps)


async def _no_effect(_cursor: Any) -> None:
    pass
