"""Record events."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from smart_audit.audit.append import KeysDestroyed
from smart_audit.audit.domain import (
    Entry,
    InclusionProof,
    NewEvent,
    OrganisationId,
    Placed,
    Receipt,
    Subject,
)
from smart_audit.audit.errors import EventIdConflict
from smart_audit.audit.leaves import Leaf, repeats, to_leaf
from smart_audit.audit.repository import Database
from smart_audit.audit.repository.log_reader import OpenedEntry
from smart_audit.audit.sealed import SubjectKey, seal
from smart_audit.audit.sequencer import Sequencer, Slot
from smart_audit.audit.subject_keys import SubjectKeys
from smart_audit.audit.use_cases.prove import prove_inclusions
from smart_audit.core.errors import DomainError, Unavailable
from smart_audit.tlog.hashing import leaf_hash

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Deps:
    """What recording needs besides the database."""

    now: Callable[[], datetime]
    new_salt: Callable[[], str]
    keys: SubjectKeys
    sequencer: Sequencer


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An event on its way into the log, not sealed yet."""

    number: int
    new: NewEvent
    leaf: Leaf
    leaf_hash: bytes


async def record_events(
    organisation_id: OrganisationId, events: Sequence[NewEvent], database: Database, deps: Deps
) -> list[Receipt | DomainError]:
    """Append events to one organisation's log: a receipt or a refusal for each, in order.

    On return the receipts' events are durable, in the tree and provable. An event that the log
    holds already gets its first receipt; other content under its id is refused.
    """
    at = deps.now()
    results: dict[int, Receipt | DomainError] = {}
    prepared: list[_Prepared] = []
    for number, new in enumerate(events):
        try:
            leaf = to_leaf(new, at, deps.new_salt)
        except DomainError as refusal:
            results[number] = refusal
        else:
            prepared.append(_Prepared(number, new, leaf, leaf_hash(leaf.encoded)))
    if prepared:
        slot, entries = await _submit(organisation_id, prepared, at, deps)
        repeated: dict[int, tuple[int, Entry]] = {}
        for offset, (one, entry) in enumerate(zip(prepared, entries, strict=True)):
            index = slot.index(offset)
            if slot.appended.fresh.get(index) is entry:
                results[one.number] = _receipt(entry, index, slot)
            else:
                repeated[one.number] = (index, entry)
        if repeated:
            results |= await _repeat(organisation_id, repeated, database)
    return [results[number] for number in range(len(events))]


async def _submit(
    organisation_id: OrganisationId, prepared: Sequence[_Prepared], at: datetime, deps: Deps
) -> tuple[Slot, list[Entry]]:
    """Seal and append. Raises: Unavailable, and what the sequencer raises."""
    subjects = {
        subject for one in prepared for owners in one.leaf.disclosures for subject in owners
    }
    for _ in range(ATTEMPTS):
        keys = await deps.keys.of(organisation_id, subjects)
        entries = [_entry(organisation_id, one, at, keys) for one in prepared]
        try:
            return await deps.sequencer.submit(organisation_id, entries), entries
        except KeysDestroyed as destroyed:
            # Somebody was erased while we, or who shared the batch, held on to the key.
            deps.keys.forget(destroyed.key_ids)
    raise Unavailable("the people in these events are being erased; retry in a moment")


def _entry(
    organisation_id: OrganisationId,
    one: _Prepared,
    at: datetime,
    keys: Mapping[Subject, SubjectKey],
) -> Entry:
    event_id = one.new.event.id
    sealed = b""
    key_ids = []
    for owners, disclosures in one.leaf.disclosures.items():
        with_keys = [keys[owner] for owner in owners]
        key_ids += [key.id for key in with_keys]
        sealed += seal(
            organisation_id,
            event_id,
            with_keys,
            [disclosure.name for disclosure in disclosures],
            [disclosure.encoded for disclosure in disclosures],
        )
    return Entry(one.new, at, one.leaf.encoded, one.leaf_hash, sealed, tuple(key_ids))


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
