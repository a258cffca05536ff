"""Record events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smart_audit.audit.domain import (
    Entry,
    InclusionProof,
    NewEvent,
    OrganisationId,
    Receipt,
    Recorded,
)
from smart_audit.audit.errors import EventIdConflict
from smart_audit.audit.leaves import to_entry
from smart_audit.audit.repository import Database
from smart_audit.audit.sequencer import Sequencer, Slot
from smart_audit.audit.use_cases.prove import prove_inclusions
from smart_audit.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class Deps:
    """What recording needs besides the database."""

    now: Callable[[], datetime]
    new_salt: Callable[[], str]
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
    entries: dict[int, Entry] = {}
    for number, event in enumerate(events):
        try:
            entries[number] = to_entry(event, at, deps.new_salt)
        except DomainError as refusal:
            results[number] = refusal
    if entries:
        slot = await deps.sequencer.submit(organisation_id, list(entries.values()))
        repeated: dict[int, tuple[int, Entry]] = {}
        for offset, (number, entry) in enumerate(entries.items()):
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
    async with database.begin(organisation_id) as log:
        recorded = await log.at({index for index, _ in repeated.values()})
        places = [(one.log_index, one.tree_size) for one in recorded.values()]
        proofs = dict(
            zip(recorded, await prove_inclusions(places, log, await log.head()), strict=True)
        )
    return {
        number: _compare(entry, recorded[index], proofs[index])
        for number, (index, entry) in repeated.items()
    }


def _compare(entry: Entry, recorded: Recorded, proof: InclusionProof) -> Receipt | DomainError:
    event = recorded.event
    if not entry.new.repeats(event):
        return EventIdConflict(
            "another event with this id is in the log; give each event an id of its own",
            event_id=str(event.id),
        )
    return Receipt(event.id, event.organisation_id, recorded.recorded_at, proof)
