"""Record events."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from smart_audit.audit.append import RegistryChanged
from smart_audit.audit.domain import (
    Entry,
    InclusionProof,
    NewEvent,
    OrganisationId,
    Placed,
    Receipt,
)
from smart_audit.audit.errors import EventIdConflict, EventTooLarge
from smart_audit.audit.leaves import repeats, to_leaves
from smart_audit.audit.registry import EventTypes, Held
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.event_types import EventTypeReader
from smart_audit.audit.repository.opened_entries import OpenedEntry
from smart_audit.audit.sequencer import Sequencer, Slot
from smart_audit.audit.subject_keys import SubjectKeys
from smart_audit.audit.use_cases.prove import prove_inclusions
from smart_audit.audit.use_cases.sealing import Prepared, seal_and_append
from smart_audit.core.errors import DomainError, Unavailable

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Deps:
    """What recording needs besides the database."""

    now: Callable[[], datetime]
    new_salts: Callable[[int], list[str]]
    keys: SubjectKeys
    sequencer: Sequencer
    event_types: EventTypes


async def record_events(
    organisation_id: OrganisationId, events: Sequence[NewEvent], database: Database, deps: Deps
) -> list[Receipt | DomainError]:
    """Append events to one organisation's log: a receipt or a refusal for each, in order.

    On return the receipts' events are durable, in the tree and provable. An event that the log
    holds already gets its first receipt; other content under its id is refused. So is what does not
    fit the registry of event types, if its policy says so.

    Raises: Unavailable, ResourceExhausted.
    """
    for _ in range(ATTEMPTS):
        held = await deps.event_types.hold(organisation_id, events)
        try:
            return await _record(organisation_id, held, events, database, deps)
        except RegistryChanged:
            await deps.event_types.learn(organisation_id)
    raise Unavailable("the registry of event types is being changed; retry in a moment")


async def _record(
    organisation_id: OrganisationId,
    held: Held,
    events: Sequence[NewEvent],
    database: Database,
    deps: Deps,
) -> list[Receipt | DomainError]:
    """Append events that were held against the registry. Raises: RegistryChanged."""
    refused: dict[int, Receipt | DomainError] = {
        number: one for number, one in enumerate(held.events) if isinstance(one, DomainError)
    }
    results, prepared = _prepare(held, deps)
    repeated: dict[int, tuple[int, NewEvent]] = {}
    if refused:
        repeated = await _recorded_before(organisation_id, held, events, refused, database)
    results |= refused
    if prepared:
        submit = partial(deps.sequencer.submit, organisation_id)
        slot, entries = await seal_and_append(
            organisation_id, list(prepared.values()), deps.keys, submit
        )
        for offset, (number, entry) in enumerate(zip(prepared, entries, strict=True)):
            index = slot.index(offset)
            if slot.appended.fresh.get(index) is entry:
                results[number] = _receipt(entry, index, slot)
            else:
                repeated[number] = (index, entry.new)
    if repeated:
        results |= await _repeat(organisation_id, repeated, database)
    return [results[number] for number in range(len(events))]


def _prepare(
    held: Held, deps: Deps
) -> tuple[dict[int, Receipt | DomainError], dict[int, Prepared]]:
    """What is to be appended, by its number in the call, and refusals of what has no place."""
    at = deps.now()
    taken = {number: one for number, one in enumerate(held.events) if isinstance(one, NewEvent)}
    results: dict[int, Receipt | DomainError] = {}
    prepared: dict[int, Prepared] = {}
    leaves = to_leaves(list(taken.values()), at, deps.new_salts)
    for (number, new), leaf in zip(taken.items(), leaves, strict=True):
        if isinstance(leaf, EventTooLarge):
            results[number] = leaf
        else:
            prepared[number] = Prepared(new, at, leaf, registry=held.version)
    return results, prepared


async def _recorded_before(
    organisation_id: OrganisationId,
    held: Held,
    events: Sequence[NewEvent],
    refused: Collection[int],
    database: Database,
) -> dict[int, tuple[int, NewEvent]]:
    """Events that the registry refuses today and the log holds already, and where.

    Whoever sends such an event once more, having lost the answer, still gets its receipt. Raises:
    RegistryChanged, since no append looks at what is refused.
    """
    ids = {number: events[number].event.id for number in refused}
    async with database.transaction(organisation_id) as connection:
        registry = await EventTypeReader(connection, organisation_id).registry()
    if registry.version != held.version:
        raise RegistryChanged
    async with database.begin(organisation_id) as log:
        places = await log.places(set(ids.values()))
    return {
        number: (places[event_id], events[number])
        for number, event_id in ids.items()
        if event_id in places
    }


def _receipt(entry: Entry, index: int, slot: Slot) -> Receipt:
    growth = slot.appended.growth
    proof = InclusionProof(
        index, growth.after.size, entry.leaf_hash, growth.path(index), growth.root
    )
    event = entry.event
    return Receipt(event.id, event.organisation_id, entry.recorded_at, proof)


async def _repeat(
    organisation_id: OrganisationId, repeated: dict[int, tuple[int, NewEvent]], database: Database
) -> dict[int, Receipt | DomainError]:
    """The first receipts of events that were recorded before, or a refusal of other content."""
    indexes = {index for index, _ in repeated.values()}
    async with database.begin(organisation_id) as log:
        placed = await log.placed(indexes)
        opened = await log.opened(indexes)
        places = [(one.log_index, one.tree_size) for one in placed.values()]
        proofs = dict(
            zip(placed, await prove_inclusions(places, log, await log.head()), strict=True)
        )
    return {
        number: _compare(new, placed[index], opened.get(index), proofs[index])
        for number, (index, new) in repeated.items()
    }


def _compare(
    new: NewEvent, placed: Placed, opened: OpenedEntry | None, proof: InclusionProof
) -> Receipt | DomainError:
    # Without its content there is nothing to compare with: the id has to do.
    if opened is not None and not repeats(new, opened.opened, opened.erased):
        return EventIdConflict(
            "another event with this id is in the log; give each event an id of its own",
            event_id=str(placed.event_id),
        )
    organisation_id = new.event.organisation_id
    return Receipt(placed.event_id, organisation_id, placed.recorded_at, proof)
