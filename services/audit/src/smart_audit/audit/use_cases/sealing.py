"""Make events into entries: build their leaves, seal what is personal, append."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from smart_audit.audit.append import KeysDestroyed
from smart_audit.audit.domain import Entry, KeyId, NewEvent, OrganisationId, Subject
from smart_audit.audit.leaves import Leaf
from smart_audit.audit.sealed import SubjectKey, new_nonces, seal
from smart_audit.audit.subject_keys import SubjectKeys
from smart_audit.core.errors import Unavailable

ATTEMPTS = 5

R = TypeVar("R")


class Prepared(NamedTuple):
    """An event on its way into the log, not sealed yet."""

    new: NewEvent
    recorded_at: datetime
    leaf: Leaf
    permanent: bool = False
    registry: int | None = None


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
        entries = sealed_entries(organisation_id, prepared, live)
        try:
            return await append(entries), entries
        except KeysDestroyed as destroyed:
            # Somebody was erased while we, or who shared the batch, held on to the key.
            keys.forget(destroyed.key_ids)
    raise Unavailable("the people in these events are being erased; retry in a moment")


def sealed_entries(
    organisation_id: OrganisationId,
    prepared: Sequence[Prepared],
    keys: Mapping[Subject, SubjectKey],
) -> list[Entry]:
    """Events with their disclosures sealed; keys: of all subjects whose data they hold."""
    nonces = new_nonces(sum(len(one.leaf.disclosures) for one in prepared))
    entries = []
    for new, recorded_at, leaf, permanent, registry in prepared:
        event_id = new.event.id
        key_ids: list[KeyId] = []
        sealed = b""
        for owners, (names, encoded) in leaf.disclosures.items():
            with_keys = [keys[owner] for owner in owners]
            key_ids += [key.id for key in with_keys]
            sealed += seal(organisation_id, event_id, with_keys, names, encoded, next(nonces))
        entries.append(
            Entry(
                new,
                recorded_at,
                leaf.encoded,
                leaf.hash,
                sealed,
                tuple(key_ids),
                permanent,
                registry,
            )
        )
    return entries
