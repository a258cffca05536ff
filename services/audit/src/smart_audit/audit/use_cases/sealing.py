"""Make events into entries: build their leaves, seal what is personal, append."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from smart_audit.audit.append import KeysDestroyed
from smart_audit.audit.domain import Entry, NewEvent, OrganisationId, Subject
from smart_audit.audit.leaves import Leaf, to_leaf
from smart_audit.audit.sealed import SubjectKey, seal
from smart_audit.audit.subject_keys import SubjectKeys
from smart_audit.core.errors import Unavailable
from smart_audit.tlog.hashing import leaf_hash

ATTEMPTS = 5

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event on its way into the log, not sealed yet."""

    new: NewEvent
    recorded_at: datetime
    leaf: Leaf
    leaf_hash: bytes
    permanent: bool


def prepare(
    new: NewEvent,
    recorded_at: datetime,
    new_salts: Callable[[int], list[str]],
    *,
    permanent: bool = False,
) -> Prepared:
    """Build an event's leaf. Raises: EventTooLarge."""
    leaf = to_leaf(new, recorded_at, new_salts)
    return Prepared(new, recorded_at, leaf, leaf_hash(leaf.encoded), permanent)


async def seal_and_append(
    organisation_id: OrganisationId,
    prepared: Sequence[Prepared],
    keys: SubjectKeys,
    append: Callable[[Sequence[Entry]], Awaitable[R]],
) -> tuple[R, list[Entry]]:
    """Seal events and append them: what the append gives, and the entries.

    Raises: Unavailable, and what the append raises.
    """
    subjects = {
        subject for one in prepared for owners in one.leaf.disclosures for subject in owners
    }
    for _ in range(ATTEMPTS):
        live = await keys.of(organisation_id, subjects)
        entries = [_entry(organisation_id, one, live) for one in prepared]
        try:
            return await append(entries), entries
        except KeysDestroyed as destroyed:
            # Somebody was erased while we, or who shared the batch, held on to the key.
            keys.forget(destroyed.key_ids)
    raise Unavailable("the people in these events are being erased; retry in a moment")


def _entry(
    organisation_id: OrganisationId, one: Prepared, keys: Mapping[Subject, SubjectKey]
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
    return Entry(
        one.new,
        one.recorded_at,
        one.leaf.encoded,
        one.leaf_hash,
        sealed,
        tuple(key_ids),
        one.permanent,
    )
