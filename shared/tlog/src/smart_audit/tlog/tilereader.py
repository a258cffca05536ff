"""Perfect nodes out of tiles.

Tile level t keeps the tree's level 8 * t only. A node at level 8 * t + h is the root over
2**h consecutive hashes of one tile, since a node never crosses a tile's border.

Where the bytes of a tile come from is the caller's affair: a full tile is stored; the partial
one of level 0 is the leaf hashes of the last entries; a partial one above is the row of the
roots of the full tiles below it.

Source: C2SP tlog-tiles, section "Merkle Tree".
"""

from collections.abc import Iterable, Mapping

from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.proofs import Node
from smart_audit.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, perfect_root


def tile_of(node: Node) -> tuple[Tile, range]:
    """The tile a node is computed from, and the positions (0 to 255) of the hashes it takes."""
    tile_level, height = divmod(node.level, TILE_HEIGHT)
    begin = node.index << height
    tile_index, offset = divmod(begin, TILE_WIDTH)
    return Tile(tile_level, tile_index), range(offset, offset + (1 << height))


def required_tiles(nodes: Iterable[Node], size: int) -> set[Tile]:
    """The tiles that hold these nodes of a tree of `size` leaves.

    The tile may be partial; `tiles.partial_width` tells how many hashes it then has.

    Raises: ValueError for a node that is not perfect in a tree of that size.
    """
    tiles: set[Tile] = set()
    for node in nodes:
        if min(node.level, node.index) < 0 or node.end > size:
            raise ValueError(f"a tree of {size} leaves has no perfect {node}")
        tiles.add(tile_of(node)[0])
    return tiles


def node_from_tile(node: Node, tile_hashes: bytes) -> bytes:
    """The hash, 32 bytes, of a node out of its tile.

    tile_hashes: the tile's hashes, concatenated; a partial tile serves if it reaches the node.

    Raises: ValueError when the tile ends before the node does.
    """
    tile, positions = tile_of(node)
    if len(tile_hashes) < positions.stop * HASH_SIZE:
        raise ValueError(f"{tile} has {len(tile_hashes)} bytes, too few for {node}")
    return perfect_root(tile_hashes[positions.start * HASH_SIZE : positions.stop * HASH_SIZE])


def resolve(node: Node, tiles: Mapping[Tile, bytes]) -> bytes:
    """The hash, 32 bytes, of a node out of the tile among `tiles` that holds it.

    Raises: KeyError when that tile is missing, ValueError when it ends before the node does.
    """
    return node_from_tile(node, tiles[tile_of(node)[0]])
