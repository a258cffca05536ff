"""What the registry says of events that are to be recorded, remembered from call to call.

Nobody asks the database whether there is a registry: each append tells which version it found (see
`append.py`), and takes no events that were held against another one. So a change is in force for
all that is appended after it, in every process, and organisations without a registry pay nothing.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from smart_audit.audit.domain import OWN_SOURCES, NewEvent, OrganisationId
from smart_audit.audit.errors import EventMetadataInvalid, EventTypeUnknown
from smart_audit.audit.event_types import Handling, Policy
from smart_audit.audit.leaves import FLAG
from smart_audit.audit.metadata_schemas import MetadataSchema, Problem
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.event_types import EventTypeReader
from smart_audit.core.errors import DomainError

REMEMBERED_ORGANISATIONS = 1_000
REMEMBERED_TYPES = 2_000
"""Of all organisations together."""


class Known(NamedTuple):
    """What is remembered of an action: its schema, if it has one, and of which version that is."""

    version: int
    schema: MetadataSchema | None


@dataclass(slots=True)
class _Registry:
    """One organisation's registry as it was last seen."""

    version: int
    policy: Policy
    types: dict[str, Known | None] = field(default_factory=dict)
    """By action; None for one that is not registered."""


@dataclass(frozen=True, slots=True)
class Held:
    """Events as they were held against a version of the registry."""

    version: int
    events: Sequence[NewEvent | DomainError]
    """Each as it is to be recorded, or why it is not."""


class EventTypes:
    """The registries of organisations that have one, as far as they were needed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registries: OrderedDict[OrganisationId, _Registry] = OrderedDict()

    async def hold(self, organisation_id: OrganisationId, events: Sequence[NewEvent]) -> Held:
        """Hold events against the registry as far as it is known; flag or refuse the unfit."""
        registry = self._registries.get(organisation_id)
        if registry is None:
            return Held(0, events)
        if registry.policy.accepts_all:
            return Held(registry.version, events)
        self._registries.move_to_end(organisation_id)
        strange = [new for new in events if not _is_own(new)]
        types = await self._types(organisation_id, registry, {new.event.action for new in strange})
        # Beside the loop: what strangers have written may take its time.
        held = await asyncio.to_thread(_hold, events, registry.policy, types)
        return Held(registry.version, held)

    async def learn(self, organisation_id: OrganisationId) -> None:
        """Look the registry up anew, since an append has found another version of it."""
        async with self._database.transaction(organisation_id) as connection:
            version, policy = await EventTypeReader(connection, organisation_id).registry()
        self._registries[organisation_id] = _Registry(version, policy)
        self._registries.move_to_end(organisation_id)
        while len(self._registries) > REMEMBERED_ORGANISATIONS:
            self._registries.popitem(last=False)

    async def _types(
        self, organisation_id: OrganisationId, registry: _Registry, actions: set[str]
    ) -> Mapping[str, Known | None]:
        missing = actions - registry.types.keys()
        found: dict[str, Known | None] = dict.fromkeys(missing)
        if missing:
            async with self._database.transaction(organisation_id) as connection:
                latest = await EventTypeReader(connection, organisation_id).latest(missing)
            for action, one in latest.items():
                if not one.deleted:
                    schema = one.definition.metadata_schema
                    known = None if schema is None else MetadataSchema(schema)
                    found[action] = Known(one.version, known)
        types = {action: registry.types.get(action) for action in actions} | found
        self._make_room(len(missing))
        registry.types.update(found)
        return types

    def _make_room(self, count: int) -> None:
        """Forget the types of the organisations that were not needed for longest."""
        total = count + sum(len(registry.types) for registry in self._registries.values())
        for registry in self._registries.values():
            if total <= REMEMBERED_TYPES:
                return
            total -= len(registry.types)
            registry.types.clear()


def _is_own(new: NewEvent) -> bool:
    return new.event.source.startswith(OWN_SOURCES)


def _hold(
    events: Iterable[NewEvent], policy: Policy, types: Mapping[str, Known | None]
) -> list[NewEvent | DomainError]:
    return [
        new if _is_own(new) else _held(new, policy, types.get(new.event.action)) for new in events
    ]


def _held(new: NewEvent, policy: Policy, known: Known | None) -> NewEvent | DomainError:
    event = new.event
    if known is None:
        return _handled(new, policy.unknown_actions, _unknown(event.action), {})
    if known.schema is None or policy.invalid_metadata is Handling.ACCEPT:
        return new
    problems = known.schema.problems(event.metadata)
    if not problems:
        return new
    refusal = _invalid(event.action, known.version, problems)
    details = {"version": known.version, "problems": [_said(one) for one in problems]}
    return _handled(new, policy.invalid_metadata, refusal, details)


def _handled(
    new: NewEvent, handling: Handling, refusal: DomainError, details: Mapping[str, Any]
) -> NewEvent | DomainError:
    match handling:
        case Handling.ACCEPT:
            return new
        case Handling.REFUSE:
            return refusal
        case Handling.FLAG:
            metadata = {**new.event.metadata, FLAG: {"reason": refusal.reason, **details}}
            return new._replace(event=new.event._replace(metadata=metadata))


def _unknown(action: str) -> EventTypeUnknown:
    what = "is not in the registry of event types; register it, or let the policy accept it"
    return EventTypeUnknown(f"{action} {what}", fields={"action": what}, action=action)


def _invalid(action: str, version: int, problems: Sequence[Problem]) -> EventMetadataInvalid:
    fields = {_path(one): one.what for one in reversed(problems)}
    return EventMetadataInvalid(
        f"the metadata is not what version {version} of {action} says: {_said(problems[0])}",
        fields=fields,
        action=action,
        version=str(version),
        path=_path(problems[0]),
    )


def _said(problem: Problem) -> str:
    return f"{_path(problem)} {problem.what}"


def _path(problem: Problem) -> str:
    inner = problem.path
    return f"metadata{inner if inner.startswith('[') else f'.{inner}'}" if inner else "metadata"
