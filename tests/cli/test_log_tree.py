"""The tree that `verify log` recomputes tile by tile is the tree of RFC 6962."""

import random
from hashlib import sha256

import pytest

from smart_audit.client.log.tree import Tree
from smart_audit.tlog.hashing import EMPTY_ROOT
from smart_audit.tlog.tiles import Tile
from tests.tlog import reference

RANDOM = random.Random(20261125)


def grown(leaves, sizes):
    """The tree, and all its tiles above level 0."""
    hashes = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    tree, tiles = Tree(sizes), {}
    for first in range(0, len(hashes), 256):
        tiles |= {tile: list(row) for tile, row in tree.add(hashes[first : first + 256])}
    return tree, tiles | {tile: list(row) for tile, row in tree.partial_tiles()}


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 513, 1000])
def test_the_root_at_any_size_is_that_of_the_reference(size):
    leaves = [b"%d" % number for number in range(size)]
    asked = {0, size, *RANDOM.sample(range(size + 1), min(size + 1, 12)), size // 256 * 256}
    tree, _ = grown(leaves, {*asked, size + 1, size + 300})
    assert tree.roots == {one: reference.mth(leaves[:one]) for one in {0, *asked}}
    assert tree.roots[0] == EMPTY_ROOT


def test_the_tiles_above_hold_the_roots_of_those_below():
    leaves = [b"%d" % number for number in range(65_536 + 256 * 3 + 5)]
    tree, tiles = grown(leaves, {len(leaves)})
    assert tree.roots[len(leaves)] == reference.mth(leaves)
    assert set(tiles) == {Tile(1, 0), Tile(1, 1), Tile(2, 0)}
    assert [len(tiles[one]) for one in sorted(tiles)] == [256, 3, 1]
    assert tiles[Tile(1, 0)][17] == reference.mth(leaves[17 * 256 : 18 * 256])
    assert tiles[Tile(1, 1)][2] == reference.mth(leaves[258 * 256 : 259 * 256])
    assert tiles[Tile(2, 0)] == [reference.mth(leaves[:65_536])]
