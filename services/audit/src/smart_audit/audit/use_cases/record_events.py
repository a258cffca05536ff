"""Record events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

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
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.log_reader import OpenedEntry
from smart_audit.audit.sequencer import Sequencer, Slot
from smart_audit.audit.subject_keys import SubjectKeys
from smart_audit.audit.use_cases.prove import prove_inclusions
from smart_audit.audit.use_cases.sealing import Prepared, seal_and_append
from smart_audit.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class Deps:
    """What recording needs besides the database."""

    now: Callable[[], datetime]
    new_salts: Callable[[int], list[str]]
    keys: SubjectKeys
    sequencer: Sequencer


async def record_events(
    organisation_id: OrganisationId, events: Sequence[NewEvent], database: Database, deps: Deps
) -> list[Receipt | DomainError]:
    """Append events to one organisation's log: a receipt or a refusal for each, in order.

    On return the receipts' events are durable, in the tree and provable. An event that the log
    holds already gets its first receipt; other content under its id is refused.
    """
    at = deps.now()
    results: dict[int, Receipt | DomainError] = {}
    prepared: dict[int, Prepared] = {}
    for number, leaf in enumerate(to_leaves(events, at, deps.new_salts)):
        if isinstance(leaf, EventTooLarge):
            results[number] = leaf
        else:
            prepared[number] = Prepared(events[number], at, leaf)
    if prepared:
        submit = partial(deps.sequencer.submit, organisation_id)
        slot, entries = await seal_and_append(
            organisation_id, list(prepared.values()), deps.keys, submit
        )
        repeated: dict[int, tuple[int, Entry]] = {}
        for offset, (number, entry) in enumerate(zip(prepared, entries, strict=True)):
            index = slot.index(offset)
            if slot.appended.fresh.get(index) is entry:
                results[number] = _receipt(entry, index, slot)
            else:
                repeated[number] = (index, entry)
        if repeated:
            results |= await _repeat(organisation_id, repeated, database)
    return [results[number] for number in range(len(events))]


def _receipt(entry: Entry, index: int, slot: Slot) -> Receipt:
    growth = slot.appended.growth
    proof = InclusionProof(
        index, growth.after.size, entry.leaf_hash, growth.path(index), growth.root
    )
    event = entry.event
    return Receipt(event.id, event.organisation_id, entry.recorded_at, proof)


async def _repeat(
    organisation_id: OrganisationId, repeated: dict[int, tuple[int, Entry]], database: Database
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
        number: _compare(entry, placed[index], opened.get(index), proofs[index])
        for number, (index, entry) in repeated.items()
    }


def _compare(
    entry: Entry, placed: Placed, opened: OpenedEntry | None, proof: InclusionProof
) -> Receipt | DomainError:
    # Without its content there is nothing to compare with: the id has to do.
    if opened is not None and not repeats(entry.new, opened.opened, opened.erased):
        return EventIdConflict(
            "another event with this id is in the log; give each event an id of its own",
            event_id=str(placed.event_id),
        )
    organisation_id = entry.event.organisation_id
    return Receipt(placed.event_id, organisation_id, placed.recorded_at, proof)
