"""Prove what the log holds."""

from collections.abc import Callable, Iterable, Sequence

from smart_audit.audit.domain import ConsistencyProof, EventId, InclusionProof, OrganisationId
from smart_audit.audit.errors import EventNotFound, LeafNotFound, LogDamaged, LogRangeInvalid
from smart_audit.audit.repository import Database, LogReader
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import fold
from smart_audit.tlog.proofs import (
    Element,
    Node,
    consistency_nodes,
    inclusion_nodes,
    perfect_nodes,
)
from smart_audit.tlog.tilereader import required_tiles, resolve

Hash = Callable[[Element], bytes]

LeafName = EventId | int | bytes
"""How a leaf is asked for: by event id, by index, by leaf hash of 32 bytes."""


async def prove_inclusion(
    organisation_id: OrganisationId, leaf: LeafName, tree_size: int, database: Database
) -> InclusionProof:
    """Prove that a leaf is in the tree of `tree_size`, or of now if 0.

    Raises: EventNotFound, LeafNotFound, LogRangeInvalid, LogDamaged.
    """
    async with database.begin(organisation_id) as log:
        head = await log.head()
        size = _size("tree_size", tree_size, head)
        index = await _place(leaf, log)
        if index >= size:
            by_index = {"log_index": f"must be less than {size}"}
            by_name = {"tree_size": f"must be more than {index}"}
            raise LogRangeInvalid(
                f"leaf {index} is not in the tree of {size} leaves",
                fields=by_index if isinstance(leaf, int) else by_name,
                log_index=str(index),
                tree_size=str(size),
            )
        (proof,) = await prove_inclusions([(index, size)], log, head)
        return proof


async def prove_inclusions(
    places: Sequence[tuple[int, int]], log: LogReader, head: CompactRange
) -> list[InclusionProof]:
    """Prove leaves by (index, tree size), all of them with one look at the tiles."""
    wanted: list[Element] = []
    for index, size in places:
        wanted += [(Node(0, index),), *inclusion_nodes(index, size), perfect_nodes(0, size)]
    hashed = await _hasher(wanted, log, head)
    return [
        InclusionProof(
            log_index=index,
            tree_size=size,
            leaf_hash=hashed((Node(0, index),)),
            hashes=[hashed(element) for element in inclusion_nodes(index, size)],
            root=hashed(perfect_nodes(0, size)),
        )
        for index, size in places
    ]


async def prove_consistency(
    organisation_id: OrganisationId,
    first: int | EventId | bytes,
    second_size: int,
    database: Database,
) -> ConsistencyProof:
    """Prove that the tree of `second_size`, or of now if 0, extends an earlier one.

    first: the earlier tree's size, from 1, or its last leaf, by event id or leaf hash.

    Raises: EventNotFound, LeafNotFound, LogRangeInvalid, LogDamaged.
    """
    async with database.begin(organisation_id) as log:
        head = await log.head()
        second = _size("second_size", second_size, head)
        first_size = first if isinstance(first, int) else await _place(first, log) + 1
        if first_size > second:
            by_size = {"first_size": f"must be at most {second}"}
            by_leaf = {"second_size": f"must be at least {first_size}"}
            raise LogRangeInvalid(
                f"the tree of {second} leaves is smaller than that of {first_size}",
                fields=by_size if isinstance(first, int) else by_leaf,
                first_size=str(first_size),
                second_size=str(second),
            )
        first_root, second_root = perfect_nodes(0, first_size), perfect_nodes(0, second)
        elements = consistency_nodes(first_size, second)
        hashed = await _hasher([*elements, first_root, second_root], log, head)
        return ConsistencyProof(
            first_size,
            second,
            hashed(first_root),
            hashed(second_root),
            [hashed(element) for element in elements],
        )


async def _place(leaf: LeafName, log: LogReader) -> int:
    """Raises: EventNotFound, LeafNotFound."""
    if isinstance(leaf, int):
        return leaf
    if isinstance(leaf, bytes):
        index = await log.place_of_leaf(leaf)
        if index is None:
            raise LeafNotFound("no leaf of this log has this hash", leaf_hash=leaf.hex())
        return index
    placed = await log.place_of(leaf)
    if placed is None:
        raise EventNotFound("no such event in this log", event_id=str(leaf))
    return placed.log_index


def _size(field: str, asked: int, head: CompactRange) -> int:
    if asked > head.size:
        raise LogRangeInvalid(
            f"the log has {head.size} entries",
            fields={field: f"must be at most {head.size}"},
            log_size=str(head.size),
        )
    return asked or head.size


async def _hasher(wanted: Iterable[Element], log: LogReader, head: CompactRange) -> Hash:
    """Fetch the tiles behind all wanted elements and hash each node once.

    The head holds the tree's perfect subtrees already, which are the root and the ragged right
    edge of each proof against the tree of now.

    Raises: LogDamaged.
    """
    hashes = dict(zip(perfect_nodes(0, head.size), head.hashes, strict=True))
    missing = {node for element in wanted for node in element} - hashes.keys()
    tiles = await log.tile_hashes(required_tiles(missing, head.size), head.size)
    try:
        hashes |= {node: resolve(node, tiles) for node in missing}
    except (KeyError, ValueError) as error:
        raise LogDamaged(f"rows of the log are missing: {error}") from error
    return lambda element: fold([hashes[node] for node in element])
