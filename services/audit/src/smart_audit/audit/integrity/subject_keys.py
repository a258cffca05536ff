"""The keys of data subjects: each opens for its own subject, or tells which event destroyed it."""

from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID

from smart_audit.audit.domain import KeyId, OrganisationId, Subject, WrappedKey
from smart_audit.audit.governance import ERASE_SUBJECT, erasure_facts
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.integrity.snapshot import Snapshot, holes
from smart_audit.audit.leaves import to_event
from smart_audit.core.sealing import SealBroken
from smart_audit.tlog.leaf import open_leaf

KEYS = """
SELECT key.key_id, key.subject_type, key.subject_id, key.wrapped_key, key.erased_by, payload.leaf
FROM audit.subject_keys AS key
LEFT JOIN audit.entries AS entry
    ON entry.organisation_id = %(organisation_id)s AND entry.event_id = key.erased_by
LEFT JOIN audit.payloads AS payload
    ON payload.organisation_id = %(organisation_id)s
    AND payload.recorded_at = entry.recorded_at AND payload.log_index = entry.log_index
WHERE key.organisation_id = %(organisation_id)s
ORDER BY key.subject_type, key.subject_id
"""


class KeyRow(NamedTuple):
    """A key, and the leaf of the event that destroyed it."""

    key_id: UUID
    subject_type: str
    subject_id: str
    wrapped_key: bytes | None
    erased_by: UUID | None
    leaf: bytes | None

    @property
    def subject(self) -> Subject:
        """Whose key it is."""
        return Subject(self.subject_type, self.subject_id)


async def check_subject_keys(snapshot: Snapshot, secrets: Secrets) -> AsyncIterator[None]:
    """Report the keys that are not as they were.

    It pauses now and then, so that findings can be taken away.
    """
    live: Subject | None = None
    async for page in snapshot.pages(KeyRow, KEYS):
        for row in page:
            problem = holes(row, "wrapped_key", "erased_by", "leaf")
            if not problem and row.wrapped_key is None:
                problem = _destroyed(row)
            elif not problem:
                problem = _opens(row, OrganisationId(snapshot.organisation_id), secrets)
                if row.subject == live:
                    problem = "is a second live key of its subject"
                live = row.subject
            if problem:
                snapshot.report("subject_keys", _place(row), problem)
        yield


def _destroyed(row: KeyRow) -> str:
    """What is wrong with a key that is gone."""
    if row.erased_by is None:
        return "was destroyed, and no event tells of it"
    if row.leaf is None:
        return f"was destroyed by event {row.erased_by}, which the log does not hold"
    try:
        event = to_event(open_leaf(row.leaf, []))
    except (KeyError, TypeError, ValueError):
        return f"was destroyed by event {row.erased_by}, which is damaged"
    if (event.action, event.targets) != (ERASE_SUBJECT, erasure_facts(row.subject)):
        return f"was destroyed by event {row.erased_by}, which does not tell of it"
    return ""


def _opens(row: KeyRow, organisation_id: OrganisationId, secrets: Secrets) -> str:
    """What is wrong with a live key."""
    if row.erased_by is not None:
        return "is live, and names an event that destroyed it"
    wrapped = WrappedKey(KeyId(row.key_id), row.subject, row.wrapped_key or b"")
    try:
        secrets.wrapping.unwrap(organisation_id, wrapped)
    except (SealBroken, ValueError):
        return "does not open for its subject: it was changed"
    return ""


def _place(row: KeyRow) -> str:
    return f"key {row.key_id} of subject {row.subject_type} {row.subject_id!r}"
