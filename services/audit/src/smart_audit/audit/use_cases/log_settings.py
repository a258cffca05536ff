"""Read and replace the settings of a log."""

from contextlib import suppress

from smart_audit.audit.domain import Actor, OrganisationId
from smart_audit.audit.governance import UPDATE_SETTINGS, LogSettings
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.governance import GovernanceReader, Unneeded, keeping_settings
from smart_audit.audit.use_cases.own_events import Governing, append_own, own_event


async def get_log_settings(organisation_id: OrganisationId, database: Database) -> LogSettings:
    """The settings of a log."""
    async with database.transaction(organisation_id) as connection:
        return await GovernanceReader(connection, organisation_id).settings()


async def update_log_settings(
    organisation_id: OrganisationId,
    settings: LogSettings,
    by: Actor,
    database: Database,
    deps: Governing,
) -> LogSettings:
    """Replace the settings of a log. Those that it has already change nothing."""
    new = own_event(organisation_id, UPDATE_SETTINGS, by, settings.facts(), deps)
    effect = keeping_settings(organisation_id, settings, new.event.id)
    with suppress(Unneeded):
        await append_own(new, effect, database, deps)
    return settings
