"""The registry of event types as rows.

Its changes are effects of an append, as those of `governance.py` are: they commit while the log's
head is locked, so that each later append finds the new version.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncCursor
from psycopg.types.json import Jsonb
from sqlalchemy import Row, Select, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection

from smart_audit.audit.append import Effect
from smart_audit.audit.domain import EventId, OrganisationId
from smart_audit.audit.event_types import Definition, EventType, Handling, Policy
from smart_audit.audit.repository.governance import Overtaken, Unneeded
from smart_audit.audit.tables import event_type_registries, event_types

ADD_VERSION = """
INSERT INTO audit.event_types (organisation_id, action, version, display_name, description,
    metadata_schema, deleted, created_at, created_by, event_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

COUNT_ADDED = """
SELECT count(*) FROM audit.event_types WHERE organisation_id = %s AND event_id = %s
    AND action = ANY (%s)
"""

GROW = """
INSERT INTO audit.event_type_registries AS registry (organisation_id, version) VALUES (%s, 1)
ON CONFLICT (organisation_id) DO UPDATE SET version = registry.version + 1
"""

SET_POLICY = """
INSERT INTO audit.event_type_registries AS registry
    (organisation_id, version, unknown_actions, invalid_metadata)
VALUES (%(organisation_id)s, 1, %(unknown_actions)s, %(invalid_metadata)s)
ON CONFLICT (organisation_id) DO UPDATE SET version = registry.version + 1,
    unknown_actions = excluded.unknown_actions, invalid_metadata = excluded.invalid_metadata
WHERE (registry.unknown_actions, registry.invalid_metadata)
    <> (excluded.unknown_actions, excluded.invalid_metadata)
"""


class Registry(NamedTuple):
    """The registry's version, 0 for an organisation that has none, and its policy."""

    version: int
    policy: Policy


def adding_versions(
    organisation_id: OrganisationId, new: Sequence[EventType], event_id: EventId
) -> Effect:
    """Add versions of event types, all or none. Raises, once run: Overtaken."""
    rows = [
        (
            organisation_id,
            one.action,
            one.version,
            one.display_name,
            one.description,
            None
            if one.definition.metadata_schema is None
            else Jsonb(one.definition.metadata_schema),
            one.deleted,
            one.created_at,
            one.created_by,
            event_id,
        )
        for one in new
    ]
    actions = [one.action for one in new]

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.executemany(ADD_VERSION, rows)
        await cursor.execute(COUNT_ADDED, [organisation_id, event_id, actions])
        if await cursor.fetchone() != (len(rows),):
            raise Overtaken
        await cursor.execute(GROW, [organisation_id])

    return effect


def setting_policy(organisation_id: OrganisationId, policy: Policy) -> Effect:
    """Replace the policy. Raises, once run: Unneeded."""

    async def effect(cursor: AsyncCursor[Any]) -> None:
        await cursor.execute(
            SET_POLICY,
            {
                "organisation_id": organisation_id,
                "unknown_actions": policy.unknown_actions.value,
                "invalid_metadata": policy.invalid_metadata.value,
            },
        )
        if cursor.rowcount == 0:
            raise Unneeded

    return effect


class EventTypeReader:
    """Reads the registry of one organisation in one transaction."""

    def __init__(self, connection: AsyncConnection, organisation_id: OrganisationId) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def registry(self) -> Registry:
        """The registry's version and policy."""
        table = event_type_registries
        statement = select(
            table.c.version, table.c.unknown_actions, table.c.invalid_metadata
        ).where(table.c.organisation_id == self._organisation_id)
        row = (await self._connection.execute(statement)).one_or_none()
        if row is None:
            return Registry(0, Policy())
        return Registry(row.version, Policy(Handling(row[1]), Handling(row[2])))

    async def latest(self, actions: Collection[str]) -> dict[str, EventType]:
        """The latest version of these actions' event types, of deleted ones too."""
        statement = self._latest().where(event_types.c.action.in_(actions))
        return {row.action: _event_type(row) for row in await self._connection.execute(statement)}

    async def version(self, action: str, version: int) -> EventType | None:
        """One version; None for one that does not exist, or only says that the type is deleted."""
        statement = select(event_types).where(
            event_types.c.organisation_id == self._organisation_id,
            event_types.c.action == action,
            event_types.c.version == version,
            event_types.c.deleted.is_(False),
        )
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _event_type(row)

    async def page(self, after: str, limit: int) -> list[EventType]:
        """The next event types in force, by action in the order of its bytes."""
        found = self._latest().where(_bytewise(event_types.c.action) > after).subquery()
        statement = (
            select(found)
            .where(found.c.deleted.is_(False))
            .order_by(_bytewise(found.c.action))
            .limit(limit)
        )
        return [_event_type(row) for row in await self._connection.execute(statement)]

    async def in_force(self) -> dict[str, EventType]:
        """All event types in force, by action."""
        found = (await self._connection.execute(self._latest())).all()
        return {row.action: _event_type(row) for row in found if not row.deleted}

    async def count_others(self, actions: Collection[str]) -> int:
        """How many actions the registry knows besides these, deleted ones included."""
        statement = select(func.count(event_types.c.action.distinct())).where(
            event_types.c.organisation_id == self._organisation_id,
            event_types.c.action.not_in(actions),
        )
        count: int = (await self._connection.execute(statement)).scalar_one()
        return count

    def _latest(self) -> Select[Any]:
        return (
            select(event_types)
            .ext(distinct_on(event_types.c.action))
            .where(event_types.c.organisation_id == self._organisation_id)
            .order_by(event_types.c.action, event_types.c.version.desc())
        )


def _bytewise(column: Any) -> Any:
    return column.collate("C")


def _event_type(row: Row[Any]) -> EventType:
    definition = Definition(row.action, row.display_name, row.description, row.metadata_schema)
    created_at: datetime = row.created_at
    return EventType(definition, row.version, created_at, row.created_by, row.deleted)
