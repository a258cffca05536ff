"""A log that grows past the tiles of level 1: what the tables hold is the tree, all the way."""

import random

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.proofs import verify_consistency
from smart_audit.tlog.tiles import TILE_WIDTH, Tile, completed_tiles, tile_root
from tests.support.events import checkpoint, event, record_batch, settled, verify

CHANCE = random.Random(11)


async def grow_to(world, user, size):
    """Record events until the log has `size` entries; gives the checkpoints on the way."""
    states = [await settled(world, user)]
    while states[-1].tree_size < size:
        count = min(CHANCE.choice([1, 40, 999, 1000]), size - states[-1].tree_size)
        await record_batch(world, user, [event(metadata={}) for _ in range(count)])
        states.append(await checkpoint(world, user))
    return states


def stored(world, user):
    """The log as it stands in the tables: leaf hashes in order, and the tiles."""
    with world.database.connect() as connection:
        leaves = connection.execute(
            "SELECT leaf_hash FROM audit.entries WHERE organisation_id = %s ORDER BY log_index",
            [user.organisation_id],
        ).fetchall()
        tiles = connection.execute(
            "SELECT level, tile_index, hashes, root FROM audit.tiles WHERE organisation_id = %s",
            [user.organisation_id],
        ).fetchall()
    hashes = [bytes(row[0]) for row in leaves]
    return hashes, {Tile(row[0], row[1]): (bytes(row[2]), bytes(row[3])) for row in tiles}


def check_tiles(leaves, tiles):
    """Each full tile is there, holds the hashes of the level below, and no other is."""
    assert set(tiles) == set(completed_tiles(0, len(leaves)))
    rows = {0: leaves}
    for tile in sorted(tiles, key=lambda one: (one.level, one.index)):
        hashes, root = tiles[tile]
        below = rows[tile.level][tile.index * TILE_WIDTH : (tile.index + 1) * TILE_WIDTH]
        assert hashes == b"".join(below)
        assert root == tile_root(hashes)
        rows.setdefault(tile.level + 1, []).append(root)


async def check(world, user, size, samples):
    states = await grow_to(world, user, size)
    leaves, tiles = stored(world, user)
    last = states[-1]
    growth = grow(CompactRange.empty(), leaves)
    assert (growth.after.size, growth.root) == (last.tree_size, last.root_hash)
    check_tiles(leaves, tiles)
    for state in CHANCE.sample(states, min(samples, len(states))):
        index = CHANCE.randrange(state.tree_size)
        answer = await world.log.GetInclusionProof(
            audit_pb2.GetInclusionProofRequest(log_index=index, tree_size=state.tree_size),
            metadata=user.metadata,
        )
        verify(answer.proof)
        assert answer.proof.root_hash == state.root_hash
        proof = await world.log.GetConsistencyProof(
            audit_pb2.GetConsistencyProofRequest(first_size=state.tree_size),
            metadata=user.metadata,
        )
        verify_consistency(
            state.tree_size, last.tree_size, list(proof.hashes), state.root_hash, last.root_hash
        )


async def test_a_log_of_a_few_tiles_is_the_tree(world):
    await check(world, await world.new_user(), 3 * TILE_WIDTH + 17, samples=10)


@pytest.mark.soak
async def test_a_log_past_level_one_is_the_tree(world):
    await check(world, await world.new_user(), TILE_WIDTH**2 + 3 * TILE_WIDTH + 5, samples=60)
