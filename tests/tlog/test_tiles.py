"""Tile coordinates and paths, and reading nodes out of tiles."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import fold, leaf_hash
from smart_audit.tlog.proofs import (
    Node,
    consistency_nodes,
    inclusion_nodes,
    perfect_nodes,
    verify_consistency,
    verify_inclusion,
)
from smart_audit.tlog.tilereader import node_from_tile, required_tiles, resolve, tile_of
from smart_audit.tlog.tiles import (
    Tile,
    TilePath,
    completed_tiles,
    entries_path,
    parse_tile_path,
    partial_width,
    perfect_root,
    tile_path,
    tile_root,
)

from . import reference

slow = settings(deadline=None)
LARGE = 66_000  # one full tile of level 1, and partial ones on all three levels


def tiles_of(hashes: list[bytes]) -> dict[Tile, bytes]:
    """All tiles of a tree, the partial ones included."""
    tiles: dict[Tile, bytes] = {}
    level = 0
    while hashes:
        rows = [hashes[start : start + 256] for start in range(0, len(hashes), 256)]
        tiles |= {Tile(level, index): b"".join(row) for index, row in enumerate(rows)}
        hashes = [tile_root(b"".join(row)) for row in rows if len(row) == 256]
        level += 1
    return tiles


@pytest.fixture(scope="module")
def leaves():
    return [leaf_hash(entry) for entry in reference.entries(LARGE)]


@pytest.fixture(scope="module")
def tiles(leaves):
    return tiles_of(leaves)


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 1_234_067, 256, "tile/0/x001/x234/067"),
        (0, 0, 256, "tile/0/000"),
        (0, 273, 112, "tile/0/273.p/112"),
        (1, 1, 17, "tile/1/001.p/17"),
        (2, 0, 1, "tile/2/000.p/1"),
        (63, 999, 255, "tile/63/999.p/255"),
        (10, 1000, 256, "tile/10/x001/000"),
        (None, 1_234_067, 8, "tile/entries/x001/x234/067.p/8"),
        (None, 5, 256, "tile/entries/005"),
    ],
)
def test_paths_are_written_and_read_as_specified(level, index, width, path):
    written = entries_path(index, width) if level is None else tile_path(level, index, width)
    assert written == path
    assert parse_tile_path(path) == TilePath(level, index, width)


@given(
    level=st.none() | st.integers(0, 63),
    index=st.integers(0, 2**64 - 1),
    width=st.integers(1, 256),
)
def test_every_path_reads_back(level, index, width):
    path = entries_path(index, width) if level is None else tile_path(level, index, width)
    assert parse_tile_path(path) == TilePath(level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/x000/000",
        "tile/0/x000/x001/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x1/000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/300",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/000\n",
        "tile/0/٠٠٠",
        "tile/entries/../000",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x001/" * 7 + "000",
    ],
)
def test_any_other_spelling_of_a_path_is_refused(path):
    with pytest.raises(ValueError, match="tile"):
        parse_tile_path(path)


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 2**64, 1), (0, 0, 0), (0, 0, 257)],
)
def test_a_tile_that_cannot_exist_has_no_path(level, index, width):
    with pytest.raises(ValueError, match="tile"):
        tile_path(level, index, width)


def test_partial_widths_are_those_of_the_specification():
    assert [partial_width(70_000, level) for level in range(4)] == [112, 17, 1, 0]
    assert [partial_width(256, level) for level in range(3)] == [0, 1, 0]
    assert partial_width(2**64 - 1, 63) == 0


def test_completed_tiles_are_those_of_the_specification():
    completed = list(completed_tiles(0, 70_000))
    assert completed == [*(Tile(0, index) for index in range(273)), Tile(1, 0)]


@slow
@given(sizes=st.lists(st.integers(0, 200_000), min_size=1, max_size=6))
def test_tiles_are_completed_once_however_the_log_grows(sizes):
    steps = [0, *sorted(sizes)]
    found = [tile for old, new in pairwise(steps) for tile in completed_tiles(old, new)]
    assert len(found) == len(set(found))
    assert sorted(found) == list(completed_tiles(0, steps[-1]))


def test_a_log_does_not_shrink():
    with pytest.raises(ValueError, match="does not grow"):
        list(completed_tiles(2, 1))


def test_a_tile_has_the_root_of_its_leaves():
    entries = reference.entries(256)
    assert tile_root(b"".join(map(leaf_hash, entries))) == reference.mth(entries)


@pytest.mark.parametrize("size", [0, 32, 8191, 8160, 8224])
def test_a_partial_tile_has_no_root(size):
    with pytest.raises(ValueError, match="8192"):
        tile_root(b"h" * size)


@pytest.mark.parametrize("count", [0, 3, 255])
def test_only_a_power_of_two_makes_a_perfect_tree(count):
    with pytest.raises(ValueError, match="perfect"):
        perfect_root(b"h" * 32 * count)


def test_a_node_is_found_in_one_tile():
    assert tile_of(Node(0, 300)) == (Tile(0, 1), range(44, 45))
    assert tile_of(Node(3, 33)) == (Tile(0, 1), range(8, 16))
    assert tile_of(Node(7, 3)) == (Tile(0, 1), range(128, 256))
    assert tile_of(Node(8, 3)) == (Tile(1, 0), range(3, 4))
    assert tile_of(Node(16, 0)) == (Tile(2, 0), range(1))


@slow
@given(level=st.integers(0, 9), index=st.integers(0, 700))
def test_a_node_out_of_a_tile_has_the_hash_of_its_leaves(tiles, level, index):
    index %= LARGE >> level
    node = Node(level, index)
    entries = reference.entries(node.end)[index << level :]
    assert resolve(node, tiles) == reference.mth(entries)


@slow
@given(index=st.integers(0, LARGE - 1), size=st.integers(1, LARGE))
def test_inclusion_is_proved_from_tiles_alone(leaves, tiles, index, size):
    index %= size
    elements = inclusion_nodes(index, size)
    needed = required_tiles((node for element in elements for node in element), size)
    held = {tile: tiles[tile] for tile in needed}
    path = [fold([resolve(node, held) for node in element]) for element in elements]
    root = fold([resolve(node, tiles) for node in perfect_nodes(0, size)])
    verify_inclusion(leaves[index], index, size, path, root)


@slow
@given(first=st.integers(1, LARGE), second=st.integers(1, LARGE))
def test_consistency_is_proved_from_tiles_alone(tiles, first, second):
    first, second = sorted((first, second))
    path = [
        fold([resolve(node, tiles) for node in element])
        for element in consistency_nodes(first, second)
    ]
    roots = [
        fold([resolve(node, tiles) for node in perfect_nodes(0, size)]) for size in (first, second)
    ]
    verify_consistency(first, second, path, *roots)


def test_tiles_and_growth_agree_on_the_root(leaves, tiles):
    nodes = perfect_nodes(0, LARGE)
    grown = grow(CompactRange.empty(), leaves)
    assert tuple(resolve(node, tiles) for node in nodes) == grown.after.hashes


def test_a_partial_tile_serves_the_nodes_it_reaches():
    partial = b"".join(map(leaf_hash, reference.entries(6)))
    assert node_from_tile(Node(1, 2), partial) == reference.mth(reference.entries(6)[4:])
    with pytest.raises(ValueError, match="too few"):
        node_from_tile(Node(1, 3), partial)
    with pytest.raises(ValueError, match="too few"):
        node_from_tile(Node(0, 5), partial[:-1])


def test_a_missing_tile_is_named():
    with pytest.raises(KeyError, match=r"Tile\(level=0, index=1\)"):
        resolve(Node(0, 256), {})


@pytest.mark.parametrize("node", [Node(0, 5), Node(1, 2), Node(3, 0), Node(0, -1), Node(-1, 0)])
def test_a_node_outside_the_tree_has_no_tile(node):
    assert required_tiles([Node(2, 0), Node(0, 4)], 5) == {Tile(0, 0)}
    with pytest.raises(ValueError, match="no perfect"):
        required_tiles([node], 5)
