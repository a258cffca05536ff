"""A whole tree in a few hashes: the roots of its maximal perfect subtrees.

A tree of n leaves has one such subtree for each bit set in n, so a million leaves need at most
20 hashes; that is all a log must remember to grow and to state its root.

Source: RFC 6962, section 2.1, for the split; "compact range" is transparency-dev's term.
"""

from dataclasses import dataclass

from smart_audit.tlog.hashing import EMPTY_ROOT, HASH_SIZE, fold, node_hash, split_hashes


@dataclass(frozen=True, slots=True)
class CompactRange:
    """The tree over the first `size` leaves.

    hashes: 32 bytes each, largest subtree (left) to smallest (right), one per bit set in size.

    Raises: ValueError when the number or the length of the hashes does not fit the size.
    """

    size: int
    hashes: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"tree size {self.size} is negative")
        if len(self.hashes) != self.size.bit_count():
            raise ValueError(
                f"a tree of {self.size} leaves has {self.size.bit_count()} perfect subtrees,"
                f" not {len(self.hashes)}"
            )
        if any(len(subtree) != HASH_SIZE for subtree in self.hashes):
            raise ValueError(f"a subtree's root is not {HASH_SIZE} bytes long")

    @classmethod
    def empty(cls) -> "CompactRange":
        """The tree without leaves."""
        return cls(0, ())

    def root(self) -> bytes:
        """The tree's root, 32 bytes; EMPTY_ROOT for the tree without leaves."""
        return fold(self.hashes) if self.hashes else EMPTY_ROOT

    def append(self, leaf_hash: bytes) -> "CompactRange":
        """The tree with one more leaf. For many leaves use `append.grow`.

        Like a binary counter: the new leaf merges with a subtree for each trailing 1 of size.
        """
        hashes = list(self.hashes)
        carry = leaf_hash
        remaining = self.size
        while remaining & 1:
            carry = node_hash(hashes.pop(), carry)
            remaining >>= 1
        return CompactRange(self.size + 1, (*hashes, carry))

    def to_bytes(self) -> bytes:
        """The hashes in their order, concatenated: 32 bytes per bit set in size."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "CompactRange":
        """Read what `to_bytes` wrote.

        Raises: ValueError when data does not hold one hash per bit set in size.
        """
        return cls(size, tuple(split_hashes(data)))
