"""The hashes of a Merkle tree.

Source: RFC 6962, section 2.1; RFC 9162, section 2.1.1, defines the same tree.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

# The prefixes keep leaves and nodes apart: without them a node's two hashes could be passed off
# as the data of a leaf.
LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """Hash one leaf: 32 bytes, SHA-256 over 0x00 then data."""
    return sha256(LEAF_PREFIX + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash an inner node: 32 bytes, SHA-256 over 0x01, left, right (32 bytes each)."""
    return sha256(NODE_PREFIX + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Hash a row of subtree roots, larger to smaller, into the root over them all.

    The two rightmost are hashed first, as RFC 6962 splits a ragged tree at its largest power
    of two. A single hash is its own fold.

    Raises: ValueError for an empty row.
    """
    if not hashes:
        raise ValueError("an empty row of hashes has no fold")
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def split_hashes(data: bytes) -> list[bytes]:
    """Cut concatenated hashes into 32-byte pieces.

    Raises: ValueError when data ends within a hash.
    """
    if len(data) % HASH_SIZE:
        raise ValueError(f"{len(data)} bytes are not a whole number of {HASH_SIZE}-byte hashes")
    return [data[start : start + HASH_SIZE] for start in range(0, len(data), HASH_SIZE)]
