"""Register event types, and say what becomes of events that do not fit."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from smart_audit.audit.domain import Actor, NewEvent, OrganisationId, Target
from smart_audit.audit.errors import (
    EventTypeLimitReached,
    EventTypeNotFound,
    MetadataSchemaInvalid,
)
from smart_audit.audit.event_types import (
    DELETED,
    MAX_EVENT_TYPES,
    POLICY_UPDATED,
    TARGET,
    UPDATED,
    Definition,
    EventType,
    Policy,
)
from smart_audit.audit.metadata_schemas import Unfit, check_schema
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.event_types import (
    EventTypeReader,
    adding_versions,
    setting_policy,
)
from smart_audit.audit.repository.governance import Overtaken, Unneeded
from smart_audit.audit.use_cases.own_events import (
    Governing,
    append_all_own,
    append_own,
    own_event,
)
from smart_audit.core.errors import InvalidArgument, Unavailable

ATTEMPTS = 5
NAMED_BY_ONE = 64
"""Event types that one event names: as many targets as any event may have."""


async def upsert_event_types(
    organisation_id: OrganisationId,
    definitions: Sequence[Definition],
    by: Actor,
    database: Database,
    deps: Governing,
) -> list[EventType]:
    """Register event types, all or none; what is the same already keeps its version.

    Raises: InvalidArgument, MetadataSchemaInvalid, EventTypeLimitReached, Unavailable.
    """
    _check(definitions)
    for _ in range(ATTEMPTS):
        latest = await _latest(organisation_id, definitions, database)
        at = deps.now()
        taken = [_next(one, latest.get(one.action), at, by) for one in definitions]
        new = [one for one in taken if latest.get(one.action) != one]
        if not new:
            return taken
        events = list(_events(organisation_id, new, at, by, deps))
        effect = adding_versions(organisation_id, new, events[0].event.id)
        with suppress(Overtaken):
            await append_all_own(events, effect, database, deps)
            return taken
    raise Unavailable("the registry of event types is being changed; retry in a moment")


async def get_event_type(
    organisation_id: OrganisationId, action: str, version: int, database: Database
) -> EventType:
    """The event type of an action: in that version, or in force if 0. Raises: EventTypeNotFound."""
    async with database.transaction(organisation_id) as connection:
        reader = EventTypeReader(connection, organisation_id)
        if version:
            found = await reader.version(action, version)
        else:
            found = (await reader.latest([action])).get(action)
    if found is None or found.deleted:
        raise _no_type(action, version)
    return found


async def list_event_types(
    organisation_id: OrganisationId, after: str, limit: int, database: Database
) -> tuple[list[EventType], str | None]:
    """A page of event types in force, by action, and where it ends if there are more."""
    async with database.transaction(organisation_id) as connection:
        found = await EventTypeReader(connection, organisation_id).page(after, limit + 1)
    page = found[:limit]
    return page, page[-1].action if len(found) > limit else None


async def delete_event_type(
    organisation_id: OrganisationId, action: str, by: Actor, database: Database, deps: Governing
) -> None:
    """Take an event type out of force. Raises: EventTypeNotFound, Unavailable."""
    for _ in range(ATTEMPTS):
        found = await get_event_type(organisation_id, action, 0, database)
        target = (Target(action, TARGET),)
        new = own_event(organisation_id, DELETED, by, target, deps)
        at = new.event.occurred_at
        gone = EventType(Definition(action), found.version + 1, at, by.id, deleted=True)
        effect = adding_versions(organisation_id, [gone], new.event.id)
        with suppress(Overtaken):
            await append_own(new, effect, database, deps)
            return
    raise Unavailable("the registry of event types is being changed; retry in a moment")


async def get_policy(organisation_id: OrganisationId, database: Database) -> Policy:
    """What becomes of events that do not fit."""
    async with database.transaction(organisation_id) as connection:
        return (await EventTypeReader(connection, organisation_id).registry()).policy


async def update_policy(
    organisation_id: OrganisationId, policy: Policy, by: Actor, database: Database, deps: Governing
) -> Policy:
    """Replace what becomes of events that do not fit. What is so already changes nothing."""
    if policy == await get_policy(organisation_id, database):
        return policy
    new = own_event(organisation_id, POLICY_UPDATED, by, policy.facts(), deps)
    with suppress(Unneeded):
        await append_own(new, setting_policy(organisation_id, policy), database, deps)
    return policy


def _check(definitions: Sequence[Definition]) -> None:
    """Raises: InvalidArgument, MetadataSchemaInvalid."""
    seen: set[str] = set()
    for number, one in enumerate(definitions):
        if one.action in seen:
            field, what = f"event_types[{number}].action", "must not be in the request before"
            raise InvalidArgument(f"{field} {what}", fields={field: what})
        seen.add(one.action)
        if one.metadata_schema is None:
            continue
        try:
            check_schema(one.metadata_schema)
        except Unfit as unfit:
            field = f"event_types[{number}].metadata_schema"
            field += f".{unfit.path}" if unfit.path else ""
            raise MetadataSchemaInvalid(
                f"{field} {unfit.why}", fields={field: unfit.why}, action=one.action
            ) from unfit


async def _latest(
    organisation_id: OrganisationId, definitions: Sequence[Definition], database: Database
) -> dict[str, EventType]:
    """The latest versions of these, deleted ones included. Raises: EventTypeLimitReached."""
    actions = [one.action for one in definitions]
    async with database.transaction(organisation_id) as connection:
        reader = EventTypeReader(connection, organisation_id)
        latest = await reader.latest(actions)
        if len(latest) < len(actions):
            others = await reader.count_others(actions)
            if others + len(actions) > MAX_EVENT_TYPES:
                raise EventTypeLimitReached(
                    f"an organisation has at most {MAX_EVENT_TYPES} event types",
                    limit=str(MAX_EVENT_TYPES),
                )
    return latest


def _next(definition: Definition, latest: EventType | None, at: datetime, by: Actor) -> EventType:
    """The version in force once a definition is registered."""
    if latest is not None and latest.definition == definition and not latest.deleted:
        return latest
    version = 1 if latest is None else latest.version + 1
    return EventType(definition, version, at, by.id)


def _events(
    organisation_id: OrganisationId,
    new: Sequence[EventType],
    at: datetime,
    by: Actor,
    deps: Governing,
) -> Iterator[NewEvent]:
    """The events that tell of new versions, each of as many as an event can name."""
    for first in range(0, len(new), NAMED_BY_ONE):
        named = new[first : first + NAMED_BY_ONE]
        targets = tuple(Target(one.action, TARGET, one.display_name) for one in named)
        told = own_event(organisation_id, UPDATED, by, targets, deps)
        versions = {one.action: one.version for one in named}
        metadata = {**told.event.metadata, "versions": versions}
        yield told._replace(event=told.event._replace(occurred_at=at, metadata=metadata))


def _no_type(action: str, version: int) -> EventTypeNotFound:
    what = f"version {version} of the event type" if version else "event type"
    return EventTypeNotFound(
        f"the registry has no {what} {action}", action=action, version=str(version)
    )
