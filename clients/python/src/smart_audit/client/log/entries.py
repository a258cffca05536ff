"""Holding every entry of a log against its tiles, and the tiles against each other.

Bundle by bundle: each leaf is a leaf of the log format and of this log, its hash is that in the
tile of level 0, and each hash above is the root of the tile below it. The tree that they make gives
the root at any size that has been signed.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Final

from smart_audit.client.leaf import read_leaf
from smart_audit.client.log.files import Expired, FileFault, LogFiles, in_order
from smart_audit.client.log.findings import TOO_MANY, Findings
from smart_audit.client.log.tree import Tree
from smart_audit.tlog.hashing import leaf_hash, split_hashes
from smart_audit.tlog.leaf import LeafError
from smart_audit.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, tile_path

# Bundles under way at a time. One of the largest entries has 16 MiB.
AHEAD: Final = 4

Hashes = Sequence[bytes]


class EntryCheck:
    """Checks the entries of one log.

    keep: given the leaf hashes of each tile of level 0, in their order, 32 bytes each.
    on_entries: told how many entries have been looked at since it was told before.
    """

    def __init__(
        self,
        files: LogFiles,
        organisation_id: str,
        findings: Findings,
        keep: Callable[[Hashes], object],
        on_entries: Callable[[int], object],
    ) -> None:
        self._files = files
        self._organisation_id = organisation_id
        self._findings = findings
        self._keep = keep
        self._on_entries = on_entries

    async def roots(self, size: int, sizes: Iterable[int]) -> Mapping[int, bytes]:
        """Check the first `size` entries; give the roots that the tree had at these sizes.

        When there is a fault, roots may be missing.

        Raises: CallError when the service does not answer.
        """
        tree = Tree(sizes)
        bundles = range(-(-size // TILE_WIDTH))
        is_whole = True

        async def get(index: int) -> tuple[Hashes | None, Hashes | None]:
            width = _width(size, index)
            return await asyncio.gather(self._hashes(index, width), self._leaves(index, width))

        async with aclosing(in_order(bundles, get, AHEAD)) as got:
            async for index, (hashes, leaves) in got:
                known = self._compared(index, hashes, leaves)
                if known is None:
                    is_whole = False
                elif is_whole:
                    self._keep(known)
                    await self._check_tiles(tree.add(known))
                self._on_entries(_width(size, index))
                if self._findings.fault_count > TOO_MANY:
                    return tree.roots
        if is_whole:
            await self._check_tiles(tree.partial_tiles())
        return tree.roots

    async def _hashes(self, index: int, width: int) -> Hashes | None:
        """A tile of level 0; None, with a fault noted, when it is not to be had."""
        try:
            return split_hashes(await self._files.tile(0, index, width))
        except FileFault as fault:
            self._note(fault, index * TILE_WIDTH)
            return None

    async def _leaves(self, index: int, width: int) -> Hashes | None:
        """The entries of a bundle; None, and noted why, when they are not to be had."""
        try:
            return await self._files.bundle(index, width)
        except Expired:
            self._findings.expired_bundles.add(index)
            self._findings.expired += width
        except FileFault as fault:
            self._note(fault, index * TILE_WIDTH)
        return None

    def _compared(self, index: int, hashes: Hashes | None, leaves: Hashes | None) -> Hashes | None:
        """The leaf hashes of a tile, if they are known, after every leaf was looked at."""
        if leaves is None:
            return hashes
        computed = [leaf_hash(leaf) for leaf in leaves]
        known = hashes or computed
        for place, leaf in enumerate(leaves):
            if known[place] != computed[place]:
                tile = tile_path(0, index, len(known))
                why: str | None = f"its hash is not the one in {tile}"
            else:
                why = self._wrong_with(leaf)
            if why is not None:
                self._findings.add_entry(index * TILE_WIDTH + place, why)
        return known

    def _wrong_with(self, leaf: bytes) -> str | None:
        try:
            opened = read_leaf(leaf, ())
        except LeafError as error:
            return f"it is not an entry of the log format: {error}"
        if opened.facts["organisation_id"] != self._organisation_id:
            return "its leaf is of another organisation"
        return None

    async def _check_tiles(self, tiles: Iterator[tuple[Tile, Hashes]]) -> None:
        """Hold tiles above level 0 against what they have to be."""
        for tile, expected in tiles:
            first = tile.index << (TILE_HEIGHT * (tile.level + 1))
            try:
                data = await self._files.tile(tile.level, tile.index, len(expected))
            except FileFault as fault:
                self._note(fault, first)
                continue
            pairs = zip(split_hashes(data), expected, strict=True)
            for place, (found, right) in enumerate(pairs):
                if found != right:
                    below = tile_path(tile.level - 1, tile.index * TILE_WIDTH + place)
                    path = tile_path(tile.level, tile.index, len(expected))
                    self._findings.add(first, path, f"hash {place} is not the root of {below}")
                    break

    def _note(self, fault: FileFault, first: int) -> None:
        if fault.log_index is None:
            self._findings.add(first, fault.path, str(fault))
        else:
            self._findings.add_entry(fault.log_index, str(fault))


def _width(size: int, index: int) -> int:
    """How many entries bundle `index` has in a log of `size` entries."""
    return min(TILE_WIDTH, size - index * TILE_WIDTH)
