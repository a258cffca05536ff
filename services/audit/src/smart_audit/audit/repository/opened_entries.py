"""From the rows of entries to events: opened, and checked against what the log keeps of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from smart_audit.audit.domain import EventId, KeyId, OrganisationId, Recorded
from smart_audit.audit.errors import LogDamaged
from smart_audit.audit.leaves import event_of, id_text, occurred_at, recorded_at
from smart_audit.audit.sealed import Box, SealedError, SubjectKey, unpack
from smart_audit.tlog.disclosure import LeafError
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import OpenedLeaf, open_leaf

EntryRow = Any
"""A row that has `log_index`, `event_id`, `recorded_at` and `leaf_hash` of the entry, `leaf` and
`disclosures` of its content, whatever has read it."""


class OpenedEntry(NamedTuple):
    """An entry whose leaf and sealed disclosures were found to be what was recorded."""

    organisation_id: OrganisationId
    event_id: EventId
    recorded_at: datetime
    log_index: int
    leaf: bytes
    leaf_hash: bytes
    opened: OpenedLeaf
    disclosures: Sequence[str]
    erased: Sequence[str]


def boxes_of(rows: Sequence[EntryRow]) -> list[list[Box]]:
    """The sealed disclosures of each row, still closed. Raises: LogDamaged."""
    boxes = []
    for row in rows:
        try:
            boxes.append(list(unpack(row.disclosures)))
        except SealedError as error:
            raise _damaged(row, str(error)) from error
    return boxes


def opened_entries(
    rows: Sequence[EntryRow],
    organisation_id: OrganisationId,
    boxes: Sequence[Sequence[Box]],
    keys: Mapping[KeyId, SubjectKey | None],
) -> list[OpenedEntry]:
    """What can be opened with these keys, None for those destroyed. Raises: LogDamaged."""
    return [
        _opened(row, organisation_id, some, keys) for row, some in zip(rows, boxes, strict=True)
    ]


def _opened(
    row: EntryRow,
    organisation_id: OrganisationId,
    boxes: Sequence[Box],
    keys: Mapping[KeyId, SubjectKey | None],
) -> OpenedEntry:
    """Raises: LogDamaged when the stored bytes are not those that were recorded."""
    readable: list[str] = []
    erased: list[str] = []
    try:
        for box in boxes:
            disclosures = box.open(organisation_id, row.event_id, keys)
            if disclosures is None:
                erased.extend(box.names)
            else:
                readable.extend(disclosures)
        opened = open_leaf(row.leaf, readable)
        damage = _mismatch(row, organisation_id, opened, erased)
    except (LeafError, SealedError, KeyError, TypeError, ValueError) as error:
        raise _damaged(row, str(error)) from error
    if damage:
        raise _damaged(row, damage)
    return OpenedEntry(
        organisation_id,
        row.event_id,
        row.recorded_at,
        row.log_index,
        row.leaf,
        row.leaf_hash,
        opened,
        readable,
        erased,
    )


def _mismatch(
    row: EntryRow, organisation_id: OrganisationId, opened: OpenedLeaf, erased: Sequence[str]
) -> str:
    if leaf_hash(row.leaf) != row.leaf_hash:
        return "the leaf does not match its hash"
    facts = opened.facts
    told = (facts["organisation_id"], facts["id"], recorded_at(opened))
    if told != (id_text(organisation_id), str(row.event_id), row.recorded_at):
        return "the leaf tells of another event"
    if opened.withheld != len(erased):
        return "disclosures are missing"
    return ""


def _damaged(row: EntryRow, damage: str) -> LogDamaged:
    return LogDamaged(
        f"entry {row.log_index} of the log is damaged: {damage}",
        log_index=str(row.log_index),
        event_id=str(row.event_id),
    )


def to_recorded(entry: OpenedEntry) -> Recorded:
    """The event of an entry. Raises: LogDamaged."""
    opened = entry.opened
    try:
        event = event_of(opened, entry.event_id, entry.organisation_id, occurred_at(opened))
        return Recorded(
            event,
            entry.log_index,
            entry.recorded_at,
            opened.facts["recorded_by"],
            entry.leaf,
            entry.leaf_hash,
            entry.disclosures,
            entry.erased,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LogDamaged(
            f"entry {entry.log_index} of the log is damaged: {error!r}",
            log_index=str(entry.log_index),
            event_id=str(entry.event_id),
        ) from error
