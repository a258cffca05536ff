"""Range proofs: one proof for a whole row of leaves, first to last, with none left out.

The leaves begin <= index < end of a tree of `size` leaves are proven by the roots of the perfect
subtrees beside them: those over the leaves before `begin` and those over the leaves from `end` on.
The hashes of the range itself are the statement, so the proof stays small however long the range
is: at most log2(size) hashes on the left and twice as many on the right.

Why that suffices. Which subtrees they are follows from begin, end and size alone, and together
with the range they cover each leaf once. So their hashes determine the root, and a root that is
right leaves no choice for any of them.

Why each leaf's inclusion path comes with it. A sibling on such a path lies inside the range, or
outside, or reaches over its end. Outside, its parent holds a leaf of the range, so no larger
perfect subtree outside covers it: it is one of the proof's own (or, at the ragged right edge,
the fold of the last of them). The others are computed on the way up.

Source: RFC 6962, section 2.1; "compact range" is transparency-dev's term for the rows beside.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from smart_audit.tlog.hashing import HASH_SIZE, NODE_PREFIX, fold
from smart_audit.tlog.proofs import Element, ProofError, perfect_nodes


@dataclass(frozen=True, slots=True)
class _Row:
    """The nodes of one level that are known: those from `first`, an even number, on.

    hashes: 32 bytes each, concatenated. The last may be ragged, that is, over fewer than 2**level
    leaves.
    """

    first: int
    hashes: bytes


@dataclass(frozen=True, slots=True)
class RangeTree:
    """The tree over a range of leaves and the subtrees beside it. It takes 64 bytes per leaf.

    root: 32 bytes, of the tree of `size` leaves that these leaves and subtrees make.
    """

    begin: int
    end: int
    size: int
    root: bytes
    _rows: tuple[_Row, ...]

    @classmethod
    def of(
        cls,
        leaf_hashes: Iterable[bytes],
        begin: int,
        size: int,
        left: Sequence[bytes],
        right: Sequence[bytes],
    ) -> Self:
        """Build the tree.

        leaf_hashes: of the leaves from `begin` on, in their order; 32 bytes each.
        left, right: the hashes of the nodes that `range_proof_nodes` names, in their order.

        Raises: ProofError when the numbers of hashes do not fit the range and the size, or one is
        not 32 bytes long.
        """
        # Not joined out of a list, in which each hash would take another 73 bytes.
        packed = bytearray()
        for leaf_hash in _checked(leaf_hashes, "range"):
            packed += leaf_hash
        end = begin + len(packed) // HASH_SIZE
        nodes = _nodes_of(begin, end, size)
        for side, hashes, wanted in zip(("left", "right"), (left, right), nodes, strict=True):
            if len(hashes) != len(wanted):
                raise ProofError(
                    f"the {side} side has {len(wanted)} hashes for this range, not {len(hashes)}"
                )
            list(_checked(hashes, side))
        rows = _rows(bytes(packed), begin, size, list(left), list(right))
        return cls(begin, end, size, rows[-1].hashes, tuple(rows))

    def path(self, index: int) -> list[bytes]:
        """The inclusion path, leaf to root, of a leaf of the range in the tree of `size` leaves.

        Raises: IndexError for any other leaf.
        """
        if not self.begin <= index < self.end:
            raise IndexError(f"leaf {index} is not in the range {self.begin} to {self.end}")
        path: list[bytes] = []
        for row in self._rows[:-1]:
            start = ((index ^ 1) - row.first) * HASH_SIZE
            # Only the last node of a level can lack its sibling; its hash moves up unchanged.
            if start < len(row.hashes):
                path.append(row.hashes[start : start + HASH_SIZE])
            index >>= 1
        return path

    def node(self, level: int, index: int) -> bytes | None:
        """The hash of a node of the tree, 32 bytes, or None when it lies outside what is known."""
        row = self._rows[level]
        start = (index - row.first) * HASH_SIZE
        return row.hashes[start : start + HASH_SIZE] or None if start >= 0 else None


def range_proof_nodes(begin: int, end: int, size: int) -> tuple[Element, Element]:
    """The perfect subtrees left and right of the leaves begin <= index < end, from left to right.

    Raises: ValueError unless 0 <= begin < end <= size. A proof of no leaves would say nothing.
    """
    if not 0 <= begin < end <= size:
        raise ValueError(f"leaves {begin} to {end} are not a range in a tree of {size} leaves")
    return perfect_nodes(0, begin), perfect_nodes(end, size)


def verify_range(
    leaf_hashes: Iterable[bytes],
    begin: int,
    size: int,
    left: Sequence[bytes],
    right: Sequence[bytes],
    root: bytes,
) -> None:
    """Verify that these leaves, all of them and no others, stand from `begin` on in the tree.

    leaf_hashes: 32 bytes each; left, right: the hashes of the nodes that `range_proof_nodes`
    names, in their order; size and root: of the tree.

    Raises: ProofError.
    """
    if RangeTree.of(leaf_hashes, begin, size, left, right).root != root:
        raise ProofError("the range does not lead to the root")


def _nodes_of(begin: int, end: int, size: int) -> tuple[Element, Element]:
    try:
        return range_proof_nodes(begin, end, size)
    except ValueError as error:
        raise ProofError(str(error)) from error


def _rows(
    hashes: bytes, begin: int, size: int, left: list[bytes], right: list[bytes]
) -> list[_Row]:
    """The known nodes of each level, from the leaves to the root. It uses up left and right."""
    smallest_last, nearest_last = left, right[::-1]
    rows: list[_Row] = []
    first, end = begin, begin + len(hashes) // HASH_SIZE
    for level in range((size - 1).bit_length() + 1):
        if first & 1:
            # Pairs begin at even nodes: the left half of this one is outside the range.
            hashes, first = smallest_last.pop() + hashes, first - 1
        if end & 1 and end << level < size:
            # Likewise the right half, be it a perfect subtree or the ragged edge of the tree.
            is_perfect = (end + 1) << level <= size
            taken = [nearest_last.pop()] if is_perfect else nearest_last[::-1]
            hashes, end = hashes + fold(taken), end + 1
        rows.append(_Row(first, hashes))
        hashes = _parents(hashes)
        first, end = first >> 1, (end + 1) >> 1
    return rows


def _parents(hashes: bytes) -> bytes:
    """Hash neighbours in pairs; an odd last node moves up as it is."""
    pair = 2 * HASH_SIZE
    whole = len(hashes) - len(hashes) % pair
    parents = bytearray()
    for start in range(0, whole, pair):
        parents += sha256(NODE_PREFIX + hashes[start : start + pair]).digest()
    return bytes(parents + hashes[whole:])


def _checked(hashes: Iterable[bytes], what: str) -> Iterable[bytes]:
    for position, value in enumerate(hashes):
        if len(value) != HASH_SIZE:
            raise ProofError(
                f"{what}: hash {position} has {len(value)} bytes instead of {HASH_SIZE}"
            )
        yield value
