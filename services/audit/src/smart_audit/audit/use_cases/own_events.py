"""The log's own events: each commits in one transaction with the change that it tells of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from smart_audit.audit.append import Appended, Effect
from smart_audit.audit.domain import (
    Actor,
    Entry,
    Event,
    EventId,
    NewEvent,
    OrganisationId,
    Outcome,
    Target,
)
from smart_audit.audit.errors import EventTooLarge
from smart_audit.audit.governance import SOURCE
from smart_audit.audit.leaves import to_leaves
from smart_audit.audit.repository import Database
from smart_audit.audit.subject_keys import SubjectKeys
from smart_audit.audit.use_cases.sealing import Prepared, seal_and_append
from smart_audit.core.rpc.context import current_call

NOTHING: Mapping[str, str] = MappingProxyType({})
SERVICE = Actor(SOURCE, "service")
"""Who does what nobody called for."""


@dataclass(frozen=True, slots=True)
class Governing:
    """What the log's own events need besides the database."""

    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    new_salts: Callable[[int], list[str]]
    keys: SubjectKeys


def own_event(
    organisation_id: OrganisationId,
    action: str,
    by: Actor,
    facts: tuple[Target, ...],
    deps: Governing,
    *,
    reason: str = "",
    details: Mapping[str, str] = NOTHING,
    disclosing: bool = True,
) -> NewEvent:
    """An event of the log itself. Its targets are public.

    The reason, the details and the facts of the call are disclosures, sealed under the key of who
    acts; disclosing: whether to keep them at all.
    """
    call = current_call()
    facts_of_call = (
        {"reason": reason, **details, **(call.facts if call else {})} if disclosing else {}
    )
    event = Event(
        id=EventId(deps.new_id()),
        organisation_id=organisation_id,
        action=action,
        actor=by,
        outcome=Outcome.SUCCESS,
        occurred_at=deps.now(),
        targets=facts,
        source=SOURCE,
        metadata={name: value for name, value in facts_of_call.items() if value},
    )
    return NewEvent(event, time_given=True, recorded_by=by.id)


async def append_own(
    new: NewEvent,
    effect: Effect,
    database: Database,
    deps: Governing,
    *,
    permanent: bool = True,
) -> int:
    """Append an event of the log itself together with its effect; gives its place in the log.

    permanent: whether retention leaves it alone.

    Raises: EventTooLarge, Unavailable, and what the effect raises, in which case nothing has
    changed.
    """
    return (await append_all_own([new], effect, database, deps, permanent=permanent))[0]


async def append_all_own(
    new: Sequence[NewEvent],
    effect: Effect,
    database: Database,
    deps: Governing,
    *,
    permanent: bool = True,
) -> list[int]:
    """As `append_own`, for events of one log and one moment that tell of one effect together."""
    organisation_id, at = new[0].event.organisation_id, new[0].event.occurred_at

    async def append(entries: Sequence[Entry]) -> Appended:
        return await database.append(organisation_id, entries, effect)

    prepared = []
    for one, leaf in zip(new, to_leaves(new, at, deps.new_salts), strict=True):
        if isinstance(leaf, EventTooLarge):
            raise leaf
        prepared.append(Prepared(one, at, leaf, permanent=permanent))
    appended, _ = await seal_and_append(organisation_id, prepared, deps.keys, append)
    return appended.indexes
