"""Growing a log by a batch of leaves, with an inclusion path for each of them.

Nothing is read but the compact range before the batch; each node is hashed once.

Why that suffices. Let n be the size before, and a the ancestor at some level L of a new leaf
(index >= n), so a >= n >> L. The path needs a's sibling.

- The sibling on the right, a + 1, covers only leaves >= n: it is built here, or it hangs over
  the ragged right edge and is built here too, or it covers no leaf and the path skips it.
- The sibling on the left, a - 1, is complete, because the leaf lies to the right of it.
  If a - 1 >= n >> L, its last leaf is >= n, so it became complete in this batch.
  Otherwise a = n >> L, and a is odd since its sibling is on the left: bit L of n is set, and
  node a - 1 is the perfect subtree which the compact range holds for exactly that bit.

Source: RFC 6962, sections 2.1 and 2.1.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import HASH_SIZE, NODE_PREFIX


@dataclass(frozen=True, slots=True)
class _Row:
    """The nodes of one level that the batch touches: hashes[k] is the node at first + k.

    `first` is even. The last node may be ragged, that is, over fewer than 2**level leaves.
    """

    first: int
    hashes: list[bytes]


@dataclass(frozen=True, slots=True)
class Growth:
    """A log that grew from `before` to `after`.

    root: 32 bytes, that of `after`.
    """

    before: CompactRange
    after: CompactRange
    root: bytes
    _rows: tuple[_Row, ...]
    _shared_path: tuple[bytes, ...]

    def path(self, index: int) -> list[bytes]:
        """The inclusion path, leaf to root, of a new leaf in the tree of size after.size.

        index: counted from 0 over the whole log; before.size <= index < after.size.

        Raises: IndexError for any other leaf.
        """
        if not self.before.size <= index < self.after.size:
            raise IndexError(
                f"leaf {index} is not among the new leaves"
                f" {self.before.size} to {self.after.size - 1}"
            )
        path = _siblings(self._rows, index)
        path += self._shared_path
        return path


def grow(before: CompactRange, leaf_hashes: Sequence[bytes]) -> Growth:
    """Append leaves to a log. An empty batch leaves the log as it is.

    leaf_hashes: 32 bytes each, in the order of the log.

    Raises: ValueError when a leaf hash is not 32 bytes long.
    """
    if any(len(leaf) != HASH_SIZE for leaf in leaf_hashes):
        raise ValueError(f"a leaf hash is not {HASH_SIZE} bytes long")
    size = before.size + len(leaf_hashes)
    if size == before.size:
        return Growth(before, before, before.root(), (), ())
    smallest_first = list(before.hashes)
    kept: list[bytes] = []
    rows: list[_Row] = []
    nodes = list(leaf_hashes)
    for level in range((size - 1).bit_length() + 1):
        first = before.size >> level
        if first & 1:
            # Pairs begin at even nodes; the left half of this one is in the compact range.
            nodes.insert(0, smallest_first.pop())
            first -= 1
        rows.append(_Row(first, nodes))
        complete = size >> level
        if complete & 1:
            kept.append(nodes[complete - 1 - first])
        nodes = _parents(nodes)
    after = CompactRange(size, tuple(reversed(kept)))
    # From this level upward all new leaves have the same ancestor, so they share the path.
    meeting = (before.size ^ (size - 1)).bit_length()
    shared_path = _siblings(rows[meeting:], before.size >> meeting)
    return Growth(before, after, nodes[0], tuple(rows[:meeting]), tuple(shared_path))


def _parents(nodes: list[bytes]) -> list[bytes]:
    """Hash neighbours in pairs; an odd last node moves up as it is."""
    prefix = NODE_PREFIX
    parents = [
        sha256(prefix + left + right).digest()
        for left, right in zip(nodes[::2], nodes[1::2], strict=False)
    ]
    if len(nodes) & 1:
        parents.append(nodes[-1])
    return parents


def _siblings(rows: Sequence[_Row], index: int) -> list[bytes]:
    """The siblings on the way up from the node at index in the first row."""
    siblings: list[bytes] = []
    for row in rows:
        position = (index ^ 1) - row.first
        hashes = row.hashes
        # Only the last node of a level can lack its sibling; its hash moves up unchanged.
        if position < len(hashes):
            siblings.append(hashes[position])
        index >>= 1
    return siblings
