"""Retention: remove the content of events once their log need not keep it any longer."""

from datetime import UTC, datetime

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.governance import RUN_RETENTION, retention_facts
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.governance import GovernanceReader, Overtaken, expiring
from smart_audit.audit.use_cases.own_events import SERVICE, Governing, append_own, own_event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BATCH = 5_000


async def expire_content(
    organisation_id: OrganisationId, database: Database, deps: Governing
) -> int:
    """Remove all content of a log that has expired and is not held; gives of how many events.

    It goes over the log by spans of time with about `BATCH` events, since nobody else can append
    while a span is removed. Each removal commits together with the event that tells of it.
    """
    async with database.transaction(organisation_id) as connection:
        limit = await GovernanceReader(connection, organisation_id).expired_before()
    removed = 0
    first = EPOCH
    while limit is not None and first < limit:
        async with database.transaction(organisation_id) as connection:
            reader = GovernanceReader(connection, organisation_id)
            before = await reader.span(first, limit, BATCH)
            count = await reader.count_expired(first, before)
        if count:
            facts = retention_facts(before, count)
            new = own_event(organisation_id, RUN_RETENTION, SERVICE, facts, deps)
            try:
                await append_own(
                    new, expiring(organisation_id, first, before, count), database, deps
                )
            except Overtaken:
                # Another process is at it, or a hold has just been placed: the next run looks
                # again.
                return removed
            removed += count
        first = before
    return removed
