"""The rows of entries, each with its content if it has any."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from smart_audit.audit.entry_mac import MAC_SIZE, Authenticate, entry_mac
from smart_audit.tlog.hashing import HASH_SIZE

ENTRIES = """
SELECT entry.ctid, entry.log_index, entry.event_id, entry.recorded_at, entry.tree_size,
    entry.tree_root, entry.leaf_hash, entry.mac,
    payload.log_index IS NOT NULL, payload.occurred_at, payload.action, payload.actor_id,
    payload.outcome, payload.permanent, payload.leaf, payload.disclosures
FROM audit.entries AS entry
LEFT JOIN audit.payloads AS payload
    ON payload.organisation_id = %(organisation_id)s
    AND payload.recorded_at = entry.recorded_at AND payload.log_index = entry.log_index
WHERE entry.organisation_id = %(organisation_id)s AND entry.log_index >= %(first)s
ORDER BY entry.log_index
"""

FIRST = -(1 << 63)
"""The least log index that a row may have."""


class EntryRow(NamedTuple):
    """An entry; what follows `has_content` is empty if retention has removed the content."""

    ctid: bytes
    """Which row of the table it is: one row of entries may meet two of payloads."""
    log_index: int
    event_id: UUID
    recorded_at: datetime
    tree_size: int
    tree_root: bytes
    leaf_hash: bytes
    mac: bytes
    has_content: bool
    occurred_at: datetime
    action: str
    actor_id: str
    outcome: int
    permanent: bool
    leaf: bytes
    disclosures: bytes


CONTENT = EntryRow._fields[EntryRow._fields.index("has_content") + 1 :]
"""The columns that are empty without content."""


def permanence(row: EntryRow, organisation_id: UUID, authenticate: Authenticate) -> bool | None:
    """Whether retention leaves the entry's content alone, as the row's MAC tells.

    None if the MAC is not that of the row. The row has no empty columns.
    """
    # Longer hashes would be cut to size before they are authenticated.
    if (len(row.tree_root), len(row.leaf_hash), len(row.mac)) != (HASH_SIZE, HASH_SIZE, MAC_SIZE):
        return None
    for permanent in (False, True):
        mac = entry_mac(
            authenticate,
            organisation_id,
            row.log_index,
            row.event_id,
            row.recorded_at,
            row.tree_size,
            row.tree_root,
            row.leaf_hash,
            permanent=permanent,
        )
        if mac == row.mac:
            return permanent
    return None
