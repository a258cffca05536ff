"""Help to write filters."""

from collections.abc import Iterable

from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.event_types import EventType
from smart_audit.audit.fields import METADATA
from smart_audit.audit.filters.completion import (
    Candidate,
    Place,
    Suggests,
    place_at,
    suggestions,
)
from smart_audit.audit.metadata_schemas import paths
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.event_types import EventTypeReader
from smart_audit.audit.repository.kinds import KindReader


async def complete_filter(
    organisation_id: OrganisationId, text: str, cursor: int, limit: int, database: Database
) -> tuple[Place, list[Candidate]]:
    """What may stand where the cursor stands, the best first, and the place it takes."""
    place = place_at(text, min(cursor, len(text)))
    fields: list[Candidate] = []
    values: list[Candidate] = []
    async with database.transaction(organisation_id) as connection:
        types, kinds = (
            EventTypeReader(connection, organisation_id),
            KindReader(connection, organisation_id),
        )
        if Suggests.FIELD in place.kinds:
            named = _paths((await types.in_force()).values())
            fields = [Candidate(METADATA + path, kind=Suggests.FIELD) for path in named]
        elif place.field.startswith(METADATA):
            named = _paths((await types.in_force()).values())
            values = list(map(Candidate, named.get(place.field.removeprefix(METADATA), ())))
        elif place.field == "action":
            values = _actions(await kinds.actions(), await types.in_force())
        elif place.field == "source":
            values = list(map(Candidate, await kinds.sources()))
        elif place.field in ("target.type", "targets.type"):
            values = list(map(Candidate, await kinds.target_types()))
    return place, suggestions(place, fields, values)[:limit]


def _actions(seen: Iterable[str], types: dict[str, EventType]) -> list[Candidate]:
    named = {
        action: Candidate(action, one.display_name, one.description)
        for action, one in types.items()
    }
    return list(({action: Candidate(action) for action in seen} | named).values())


def _paths(types: Iterable[EventType]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in types:
        for path, values in paths(one.definition.metadata_schema or {}).items():
            found[path] = list(dict.fromkeys([*found.get(path, ()), *values]))
    return found
