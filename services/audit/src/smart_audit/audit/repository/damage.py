"""What a log has told of damage, as rows."""

from collections.abc import Sequence

from sqlalchemy import and_, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.domain import OrganisationId, Target
from smart_audit.audit.governance import INTEGRITY_FAILED
from smart_audit.audit.tables import entry_targets, payloads


async def has_told(
    connection: AsyncConnection, organisation_id: OrganisationId, facts: Sequence[Target]
) -> bool:
    """Whether an event of the log tells of this damage already."""
    statement = select(payloads.c.log_index).where(
        payloads.c.organisation_id == organisation_id, payloads.c.action == INTEGRITY_FAILED
    )
    for fact in facts:
        statement = statement.where(
            exists().where(
                and_(
                    entry_targets.c.organisation_id == organisation_id,
                    entry_targets.c.target_id == fact.id,
                    entry_targets.c.occurred_at == payloads.c.occurred_at,
                    entry_targets.c.log_index == payloads.c.log_index,
                    entry_targets.c.recorded_at == payloads.c.recorded_at,
                )
            )
        )
    return (await connection.execute(statement.limit(1))).first() is not None
