"""Inclusion and consistency proofs: which nodes they take, and how to verify them.

A proof's hashes are named before they are fetched. Each one is an `Element`, a row of perfect
nodes from left to right; `hashing.fold` of their hashes is the proof's hash. Elements inside
the tree are one node; the one at the ragged right edge may be several. A store can so fetch
all the nodes of a proof, or of many proofs, in one query.

Source: RFC 9162, sections 2.1.3 and 2.1.4; RFC 6962, sections 2.1.1 and 2.1.2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smart_audit.tlog.hashing import HASH_SIZE, node_hash


class ProofError(ValueError):
    """A proof that does not prove its statement; the message says why."""


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """A perfect subtree: the 2**level leaves from index * 2**level on."""

    level: int
    index: int

    @property
    def end(self) -> int:
        """The first leaf to the right of the subtree."""
        return (self.index + 1) << self.level


Element = tuple[Node, ...]


def perfect_nodes(begin: int, end: int) -> Element:
    """The fewest perfect subtrees that cover the leaves begin <= index < end, left to right.

    Raises: ValueError unless 0 <= begin <= end.
    """
    if not 0 <= begin <= end:
        raise ValueError(f"leaves {begin} to {end} are not a range")
    nodes: list[Node] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, _trailing_zeros(begin))
        nodes.append(Node(level, begin >> level))
        begin = nodes[-1].end
    return tuple(nodes)


def inclusion_nodes(index: int, size: int) -> list[Element]:
    """The proof, leaf to root, that leaf `index` is in the tree of `size` leaves.

    Raises: ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size} leaves")
    return list(_siblings(Node(0, index), size))


def consistency_nodes(first: int, second: int) -> list[Element]:
    """The proof that the tree of `first` leaves is a prefix of the tree of `second` leaves.

    The proof between equal sizes is empty.

    Raises: ValueError unless 0 < first <= second. Every tree extends the empty one, so RFC 9162
    defines no proof for it.
    """
    if not 0 < first <= second:
        raise ValueError(f"there is no consistency proof between sizes {first} and {second}")
    if first == second:
        return []
    level = _trailing_zeros(first)
    last = Node(level, (first >> level) - 1)
    proof = list(_siblings(last, second))
    # A first tree that is one perfect node is known to the verifier by its root.
    return proof if last.index == 0 else [(last,), *proof]


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Verify that the leaf is at index in the tree of `size` leaves with this root.

    leaf_hash, root and the hashes in path: 32 bytes; path runs from leaf to root.

    Raises: ProofError.
    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not in a tree of {size} leaves")
    _require_hashes([leaf_hash], "leaf hash")
    _require_hashes(path, "path")
    node, last = index, size - 1
    computed = leaf_hash
    for sibling in path:
        if last == 0:
            raise ProofError(f"the path of {len(path)} hashes is too long")
        if node & 1 or node == last:
            computed = node_hash(sibling, computed)
            zeros = _trailing_zeros(node)
            node, last = node >> zeros, last >> zeros
        else:
            computed = node_hash(computed, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"the path of {len(path)} hashes is too short")
    if computed != root:
        raise ProofError("the path does not lead to the root")


def verify_consistency(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes
) -> None:
    """Verify that the tree of `first` leaves is a prefix of the tree of `second` leaves.

    Equal sizes need equal roots and an empty path; two different sizes need a path that is not
    empty. A first size of 0 is refused, even with an empty path: such a proof says nothing.

    Raises: ProofError.
    Source: RFC 9162, section 2.1.4.2.
    """
    if not 0 < first <= second:
        raise ProofError(f"there is no consistency proof between sizes {first} and {second}")
    _require_hashes(path, "path")
    if first == second:
        if path:
            raise ProofError("the path between equal sizes is not empty")
        if first_root != second_root:
            raise ProofError("the roots differ although the sizes are equal")
        return
    if not path:
        raise ProofError("the path between different sizes is empty")
    zeros = _trailing_zeros(first)
    node, last = (first >> zeros) - 1, (second - 1) >> zeros
    # A first tree that is one perfect node is its own start; the path then omits it.
    start, *siblings = [first_root, *path] if node == 0 else path
    first_computed = second_computed = start
    for sibling in siblings:
        if last == 0:
            raise ProofError(f"the path of {len(path)} hashes is too long")
        if node & 1 or node == last:
            first_computed = node_hash(sibling, first_computed)
            second_computed = node_hash(sibling, second_computed)
            zeros = _trailing_zeros(node)
            node, last = node >> zeros, last >> zeros
        else:
            second_computed = node_hash(second_computed, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError(f"the path of {len(path)} hashes is too short")
    if first_computed != first_root:
        raise ProofError("the path does not lead to the first root")
    if second_computed != second_root:
        raise ProofError("the path does not lead to the second root")


def _siblings(node: Node, size: int) -> Iterator[Element]:
    """The siblings of a perfect node and of its ancestors, in the tree of `size` leaves."""
    level, index = node.level, node.index
    last = (size - 1) >> level
    while last:
        if index & 1:
            yield (Node(level, index - 1),)
        elif index < last:
            begin = (index + 1) << level
            yield perfect_nodes(begin, min(begin + (1 << level), size))
        level, index, last = level + 1, index >> 1, last >> 1


def _trailing_zeros(number: int) -> int:
    """How often 2 divides the number; 0 for 0."""
    return (number & -number).bit_length() - 1 if number else 0


def _require_hashes(hashes: Sequence[bytes], what: str) -> None:
    for position, value in enumerate(hashes):
        if len(value) != HASH_SIZE:
            raise ProofError(
                f"{what}: hash {position} has {len(value)} bytes instead of {HASH_SIZE}"
            )
