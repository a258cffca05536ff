"""Tiles: rows of 256 consecutive nodes, one in eight levels of the tree.

Tile n of level l holds the nodes (8 * l, 256 * n) to (8 * l, 256 * n + 255), so level 0 holds
leaf hashes and each hash above is the root of a full tile of the level below. A tile that is
full never changes; the last one of a level may be partial.

Source: C2SP tlog-tiles, sections "Merkle Tree", "Partial Tiles" and "Log entries".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smart_audit.tlog.hashing import HASH_SIZE, node_hash, split_hashes

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
TILE_SIZE: Final = TILE_WIDTH * HASH_SIZE  # bytes
MAX_LEVEL: Final = 63

# Tree sizes are 64-bit numbers, so an index has at most 20 digits: seven groups of three.
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})"
    r"/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[0-9]{1,3}))?"
)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """The place of a tile: level 0 to 63, index from 0 within the level."""

    level: int
    index: int


@dataclass(frozen=True, slots=True)
class TilePath:
    """What a path names: a tile, or an entry bundle if level is None.

    width: 1 to 256 hashes or entries; 256 is full.
    """

    level: int | None
    index: int
    width: int


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """The path of a tile below the log's prefix, as in "tile/0/x001/x234/067.p/8".

    Raises: ValueError for a level, index or width that no tile has.
    """
    if not 0 <= level <= MAX_LEVEL:
        raise ValueError(f"tile level {level} is not between 0 and {MAX_LEVEL}")
    return f"tile/{level}/{_index_path(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """The path of an entry bundle below the log's prefix, as in "tile/entries/067".

    Raises: ValueError for an index or width that no bundle has.
    """
    return f"tile/entries/{_index_path(index, width)}"


def parse_tile_path(path: str) -> TilePath:
    """Read a path that `tile_path` or `entries_path` writes; no other spelling is accepted.

    Raises: ValueError.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"{path!r} is not the path of a tile or an entry bundle")
    level = None if match["level"] == "entries" else int(match["level"])
    index = int(match["index"].replace("/", "").replace("x", ""))
    width = TILE_WIDTH if match["width"] is None else int(match["width"])
    written = entries_path(index, width) if level is None else tile_path(level, index, width)
    # One resource, one name: caches and access rules must not meet a second spelling.
    if written != path:
        raise ValueError(f"{path!r} should be written {written!r}")
    return TilePath(level, index, width)


def partial_width(size: int, level: int) -> int:
    """The hashes in the partial tile at a level of a tree of `size` leaves, 0 to 255.

    0 means that the level has no partial tile; an empty one is never served.
    """
    return (size >> (TILE_HEIGHT * level)) % TILE_WIDTH


def completed_tiles(old_size: int, new_size: int) -> Iterator[Tile]:
    """The tiles of all levels which become full as the tree grows from old to new size.

    They come level by level from 0, so that the tiles below a tile come before it.

    Raises: ValueError when the tree shrinks.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a log does not grow from {old_size} to {new_size} leaves")
    level = 0
    while new_full := new_size >> (TILE_HEIGHT * (level + 1)):
        old_full = old_size >> (TILE_HEIGHT * (level + 1))
        for index in range(old_full, new_full):
            yield Tile(level, index)
        level += 1


def tile_root(hashes: bytes) -> bytes:
    """The root, 32 bytes, of a full tile: its 256 hashes, concatenated, 8192 bytes.

    Raises: ValueError for a tile that is not full: partial tiles are never hashed upward.
    """
    if len(hashes) != TILE_SIZE:
        raise ValueError(f"a full tile has {TILE_SIZE} bytes, not {len(hashes)}")
    return perfect_root(hashes)


def perfect_root(hashes: bytes) -> bytes:
    """The root over a power of two of hashes, concatenated.

    Raises: ValueError for any other number of hashes.
    """
    nodes = split_hashes(hashes)
    if len(nodes).bit_count() != 1:
        raise ValueError(f"{len(nodes)} hashes do not make a perfect tree")
    while len(nodes) > 1:
        nodes = [node_hash(*pair) for pair in zip(nodes[::2], nodes[1::2], strict=True)]
    return nodes[0]


def _index_path(index: int, width: int) -> str:
    if not 0 <= index < 1 << 64:
        raise ValueError(f"tile index {index} is not a 64-bit number")
    if not 1 <= width <= TILE_WIDTH:
        raise ValueError(f"tile width {width} is not between 1 and {TILE_WIDTH}")
    path = f"{index % 1000:03}"
    while index := index // 1000:
        path = f"x{index % 1000:03}/{path}"
    return path if width == TILE_WIDTH else f"{path}.p/{width}"
