"""The content of entries: columns and sealed disclosures against the leaf."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from smart_audit.audit import arrays
from smart_audit.audit.domain import (
    PERSON,
    Event,
    EventId,
    KeyId,
    OrganisationId,
    Subject,
    WrappedKey,
)
from smart_audit.audit.integrity.findings import log_index
from smart_audit.audit.integrity.rows import EntryRow
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.integrity.snapshot import Snapshot, holes
from smart_audit.audit.leaves import recorded_at, to_event
from smart_audit.audit.sealed import Box, SealedError, SubjectKey, unpack
from smart_audit.core.sealing import SealBroken
from smart_audit.tlog.disclosure import LeafError
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.leaf import open_leaf

KEYS = """
SELECT key_id, subject_type, subject_id, wrapped_key FROM audit.subject_keys
WHERE organisation_id = %(organisation_id)s AND key_id = ANY(%(key_ids)s)
"""


class KeyRow(NamedTuple):
    """A subject's key."""

    key_id: UUID
    subject_type: str
    subject_id: str
    wrapped_key: bytes | None


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """A key under which disclosures are sealed, and whose it is."""

    subject: Subject
    key: SubjectKey | None
    """None once it has been destroyed."""


@dataclass(frozen=True, slots=True)
class Content:
    """An event whose content was found to be what its leaf says."""

    event: Event
    erased: Sequence[str]
    """The names of disclosures that nobody can read any more."""


class Damaged(Exception):
    """Content that is not what the leaf says; the message says how it shows."""


class Contents:
    """Checks the content of a page of entries."""

    def __init__(self, snapshot: Snapshot, secrets: Secrets) -> None:
        self._snapshot = snapshot
        self._wrapping = secrets.wrapping
        self._organisation_id = OrganisationId(snapshot.organisation_id)
        self._boxes: list[list[Box] | SealedError] = []
        self._keys: dict[KeyId, OwnerKey | None] = {}

    async def begin(self, rows: Sequence[EntryRow]) -> None:
        """Look up the keys that a page needs."""
        self._boxes = [_boxes(row) for row in rows]
        wanted: dict[KeyId, int] = {}
        for row, boxes in zip(rows, self._boxes, strict=True):
            for box in boxes if isinstance(boxes, list) else ():
                wanted |= dict.fromkeys(box.key_ids, row.log_index)
        self._keys = {}
        if wanted:
            parameters = {"key_ids": arrays.uuids(wanted)}
            for found in await self._snapshot.fetch(KeyRow, KEYS, parameters):
                self._keys[KeyId(found.key_id)] = self._owner_key(found)
        for key_id in wanted.keys() - self._keys.keys():
            problem = f"is missing, and {log_index(wanted[key_id])} is sealed under it"
            self._snapshot.report("subject_keys", f"key {key_id}", problem)

    def check(self, place: int, row: EntryRow) -> Content | None:
        """The content of the row at a place of the page; None, and a finding, if it is damaged.

        place: counted from 0. The entry itself was found to be right.
        """
        try:
            content = self._content(row, self._boxes[place])
        except (Damaged, SealedError) as error:
            self._report(row, str(error))
            return None
        except LeafError:
            self._report(row, "its disclosures are not those of the leaf")
            return None
        except (KeyError, TypeError, ValueError):
            self._report(row, "its leaf is no event")
            return None
        for problem in _differences(row, content.event):
            self._report(row, problem)
        return content

    def _report(self, row: EntryRow, problem: str) -> None:
        self._snapshot.report("payloads", log_index(row.log_index), problem)

    def _content(self, row: EntryRow, boxes: list[Box] | SealedError) -> Content:
        """Raises: what a leaf or disclosures raise that were changed."""
        if problem := holes(row):
            raise Damaged(problem)
        if leaf_hash(row.leaf) != row.leaf_hash:
            raise Damaged("the leaf was changed: the tree has another hash")
        if isinstance(boxes, SealedError):
            raise boxes
        readable: list[str] = []
        erased: list[str] = []
        unopened = False
        for box in boxes:
            opened = self._open(row, box)
            if opened is None:
                unopened = True
            elif opened:
                readable += opened
            else:
                erased += box.names
        leaf = open_leaf(row.leaf, readable)
        event = to_event(leaf)
        if not unopened and leaf.withheld != len(erased):
            raise Damaged("disclosures are missing, or there are more than the leaf commits to")
        if len(set(erased)) < len(erased) or not set(erased) <= _names(event) - set(leaf.disclosed):
            raise Damaged("the names of erased disclosures were changed")
        for box in boxes:
            self._require_owners(box, event)
        if (leaf.facts["id"], recorded_at(leaf)) != (str(row.event_id), row.recorded_at):
            raise Damaged("the leaf tells of another event")
        return Content(event, erased)

    def _open(self, row: EntryRow, box: Box) -> list[str] | None:
        """The disclosures in a box: none if a key was destroyed; None if one is damaged itself.

        Raises: SealedError.
        """
        keys: dict[KeyId, SubjectKey | None] = {}
        for key_id in box.key_ids:
            owner = self._keys.get(key_id)
            if owner is None:
                return None
            keys[key_id] = owner.key
        return box.open(self._organisation_id, EventId(row.event_id), keys) or []

    def _require_owners(self, box: Box, event: Event) -> None:
        """Raises: Damaged for a box of somebody whom the event does not name."""
        named = {event.actor.subject}
        named |= {Subject(target.type or PERSON, target.id) for target in event.targets}
        for key_id in box.key_ids:
            owner = self._keys.get(key_id)
            if owner is not None and owner.subject not in named:
                raise Damaged(f"is sealed under key {key_id} of somebody whom it does not name")

    def _owner_key(self, row: KeyRow) -> OwnerKey | None:
        """None for a key that is damaged, which is found where keys are looked at."""
        if row.subject_type is None or row.subject_id is None:
            return None
        subject = Subject(row.subject_type, row.subject_id)
        if row.wrapped_key is None:
            return OwnerKey(subject, None)
        wrapped = WrappedKey(KeyId(row.key_id), subject, row.wrapped_key)
        try:
            return OwnerKey(subject, self._wrapping.unwrap(self._organisation_id, wrapped))
        except SealBroken:
            return None


def _boxes(row: EntryRow) -> list[Box] | SealedError:
    """The boxes of an event, or why they cannot be told apart."""
    try:
        return list(unpack(row.disclosures or b""))
    except SealedError as error:
        return error


def _names(event: Event) -> set[str]:
    """What the disclosures of an event may be called."""
    names = {"actor.name", "actor.email", "source_address", "user_agent", "metadata"}
    return names | {f"targets.{place}.name" for place in range(len(event.targets))}


def _differences(row: EntryRow, event: Event) -> Iterator[str]:
    """What the columns say otherwise than the leaf."""
    stated = {
        "occurred_at": event.occurred_at,
        "action": event.action,
        "actor_id": event.actor.id,
        "outcome": event.outcome.value,
    }
    for name, value in stated.items():
        if getattr(row, name) != value:
            yield f"{name} is not that of the leaf"
