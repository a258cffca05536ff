"""The tree over a log's entries, grown anew, and the stored tiles beside it."""

from typing import NamedTuple

from smart_audit.audit.integrity.snapshot import Snapshot, Stream, holes
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import split_hashes
from smart_audit.tlog.tiles import TILE_SIZE, TILE_WIDTH, tile_root

TILES = """
SELECT tile_index, hashes, root FROM audit.tiles
WHERE organisation_id = %(organisation_id)s AND level = %(level)s
    AND (tile_index >= %(first)s OR tile_index IS NULL)
ORDER BY tile_index
"""

OTHER_LEVELS = """
SELECT level, tile_index FROM audit.tiles
WHERE organisation_id = %(organisation_id)s
    AND (level IS NULL OR level < 0 OR level >= %(levels)s)
ORDER BY level, tile_index
"""

TILES_AT_ONCE = 16
"""A tile has 8 KiB."""

FIRST = -(1 << 63)
"""The least index that a row may have."""


class TileRow(NamedTuple):
    """A stored tile of one level."""

    tile_index: int
    hashes: bytes
    root: bytes


class Level:
    """One level of tiles: the hashes that come up from below, against those that are stored."""

    def __init__(self, snapshot: Snapshot, level: int) -> None:
        self._snapshot = snapshot
        self._level = level
        self._index = 0
        self._hashes: list[bytes | None] = []
        self._stored = self._stream(FIRST)

    def resume(self) -> None:
        """Go on in another transaction."""
        self._stored = self._stream(self._index)

    async def add(self, node: bytes | None) -> list[bytes | None] | None:
        """Take the next hash, None if nobody knows it; once a tile is full, gives its hashes.

        Those that nobody knew are taken from the stored tile, if that one is right in itself.
        """
        self._hashes.append(node)
        if len(self._hashes) < TILE_WIDTH:
            return None
        hashes, self._hashes = self._hashes, []
        stored = await self._take()
        self._index += 1
        if stored is None:
            return hashes
        index = self._index - 1
        if len(stored.hashes) != TILE_SIZE:
            self._report(index, "does not hold 256 hashes")
            return hashes
        there = split_hashes(stored.hashes)
        right_root = tile_root(stored.hashes) == stored.root
        if any(known not in (None, one) for known, one in zip(hashes, there, strict=True)):
            self._report(index, "its hashes are not those of the level below")
        elif not right_root:
            self._report(index, "its root is not that of its hashes")
        elif None in hashes:
            return list(there)
        return hashes

    async def finish(self) -> None:
        """Report the stored tiles for which there is nothing below."""
        while row := await self._stored.take():
            problem = holes(row) or "there are not as many entries"
            self._report(row.tile_index, problem)

    def _stream(self, first: int) -> Stream[TileRow]:
        parameters = {"level": self._level, "first": first}
        return Stream(self._snapshot.pages(TileRow, TILES, parameters, size=TILES_AT_ONCE))

    async def _take(self) -> TileRow | None:
        """The stored tile that is next in order. Those that should not be there are reported."""
        found: TileRow | None = None
        while (row := await self._stored.peek()) and _is_up_to(row, self._index):
            await self._stored.take()
            if row.tile_index < self._index or found is not None:
                self._report(row.tile_index, "is there more than once, or below 0")
            elif problem := holes(row):
                self._report(row.tile_index, problem)
                found = TileRow(row.tile_index, row.hashes or b"", row.root or b"")
            else:
                found = row
        if found is None:
            self._report(self._index, "is missing")
        return found

    def _report(self, index: int | None, problem: str) -> None:
        self._snapshot.report("tiles", _place(self._level, index), problem)


class Tree:
    """Grows by the hashes of entries, and holds each stored tile against them.

    `now` is the tree over all hashes so far, or None when some of them are not known. Once the
    tile is full that holds those, the tree is known again.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._levels: list[Level] = [Level(snapshot, 0)]
        self._below: CompactRange | None = CompactRange.empty()
        self.now: CompactRange | None = CompactRange.empty()

    def resume(self) -> None:
        """Go on in another transaction."""
        for level in self._levels:
            level.resume()

    async def add(self, leaf: bytes | None) -> None:
        """Append a leaf by its hash, 32 bytes; None if nobody knows it."""
        if self.now is not None:
            self.now = None if leaf is None else self.now.append(leaf)
        full = await self._levels[0].add(leaf)
        if full is not None:
            self._know_again(full)
            await self._raise(full)

    async def finish(self) -> None:
        """Report the stored tiles for which there are no entries."""
        for level in self._levels:
            await level.finish()
        others = self._snapshot.pages(_OtherTile, OTHER_LEVELS, {"levels": len(self._levels)})
        async for page in others:
            for row in page:
                place = _place(row.level, row.tile_index)
                self._snapshot.report("tiles", place, "there are not as many entries")

    def _know_again(self, full: list[bytes | None]) -> None:
        """A tile of leaves is full: where its hashes are known now, so is the tree."""
        if self.now is None and self._below is not None:
            self.now = self._below
            for leaf in full:
                self.now = None if leaf is None or self.now is None else self.now.append(leaf)
        self._below = self.now

    async def _raise(self, full: list[bytes | None]) -> None:
        """Hand the root of a full tile to the level above, and so on."""
        level = 1
        nodes: list[bytes | None] | None = full
        while nodes is not None:
            known = [node for node in nodes if node is not None]
            root = tile_root(b"".join(known)) if len(known) == TILE_WIDTH else None
            if level == len(self._levels):
                self._levels.append(Level(self._snapshot, level))
            nodes = await self._levels[level].add(root)
            level += 1


class _OtherTile(NamedTuple):
    level: int | None
    tile_index: int | None


def _is_up_to(row: TileRow, index: int) -> bool:
    # Rows without an index come last.
    tile_index: int | None = row.tile_index
    return tile_index is not None and tile_index <= index


def _place(level: int | None, index: int | None) -> str:
    return f"level {level}, tile {index}"
