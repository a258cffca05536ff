"""What authenticates the row of an entry.

The leaf says which event it is and when it was recorded, but retention removes the leaf. What stays
are hash and place, which the tree covers, and id and time, which nothing would: whoever may write
to the database could remove content at will and date the entry so that retention seems to have
done it. So each row carries a MAC under the installation's key.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from struct import Struct
from uuid import UUID

MAC_SIZE = 16
"""HMAC-SHA-256, its first half (RFC 2104, section 5): there may be very many of these rows."""

Authenticate = Callable[[bytes], bytes]

_ROW = Struct(">5s16sq16sqq32s32s?").pack
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def entry_mac(
    authenticate: Authenticate,
    organisation_id: UUID,
    log_index: int,
    event_id: UUID,
    recorded_at: datetime,
    tree_size: int,
    tree_root: bytes,
    leaf_hash: bytes,
    *,
    permanent: bool,
) -> bytes:
    """The MAC of an entry's row and of whether retention leaves its content alone, 16 bytes."""
    row = _ROW(
        b"entry",
        organisation_id.bytes,
        log_index,
        event_id.bytes,
        (recorded_at - _EPOCH) // _MICROSECOND,
        tree_size,
        tree_root,
        leaf_hash,
        permanent,
    )
    return authenticate(row)[:MAC_SIZE]
