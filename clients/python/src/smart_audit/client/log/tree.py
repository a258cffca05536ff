"""Recomputing a log's tree from its leaf hashes, a tile at a time, in constant memory. Pure.

Each node is hashed once: the root of a full tile of level 0 stands for its 256 leaves in the
compact range and in the tile above.

Source: RFC 6962, section 2.1; C2SP tlog-tiles, section "Merkle Tree".
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count

from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import EMPTY_ROOT, fold
from smart_audit.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, tile_root


class Tree:
    """A tree that grows from nothing.

    roots: by size, the tree's root when it had so many leaves; of the sizes that were asked for,
    those that it has reached.
    """

    def __init__(self, sizes: Iterable[int]) -> None:
        self._sizes = frozenset(sizes)
        self.roots = {0: EMPTY_ROOT}
        # Over the roots of the full tiles of level 0; the same nodes, eight levels up.
        self._full = CompactRange.empty()
        # Of each level above 0, the hashes of the tile that is not full yet.
        self._rows: list[list[bytes]] = []

    def add(self, hashes: Sequence[bytes]) -> Iterator[tuple[Tile, list[bytes]]]:
        """Append the leaf hashes of a tile, 256; fewer only at the tree's end.

        Gives the tiles of levels above 0 that are full with it.
        """
        first = self._full.size * TILE_WIDTH
        for size in self._sizes:
            if first < size <= first + len(hashes):
                self.roots[size] = self._root(hashes[: size - first])
        if len(hashes) == TILE_WIDTH:
            root = tile_root(b"".join(hashes))
            self._full = self._full.append(root)
            yield from self._lift(root)

    def partial_tiles(self) -> Iterator[tuple[Tile, list[bytes]]]:
        """The tiles of levels above 0 that are not full, as the tree now is."""
        for level, row in enumerate(self._rows, 1):
            if row:
                yield Tile(level, self._full.size >> (TILE_HEIGHT * level)), row

    def _root(self, beyond: Sequence[bytes]) -> bytes:
        """The root over the full tiles and these leaves, 1 to 256, behind them."""
        return fold((*self._full.hashes, *grow(CompactRange.empty(), beyond).after.hashes))

    def _lift(self, root: bytes) -> Iterator[tuple[Tile, list[bytes]]]:
        for level in count(1):
            if level > len(self._rows):
                self._rows.append([])
            row = self._rows[level - 1]
            row.append(root)
            if len(row) < TILE_WIDTH:
                return
            yield Tile(level, (self._full.size >> (TILE_HEIGHT * level)) - 1), row
            root = tile_root(b"".join(row))
            self._rows[level - 1] = []
