"""A log's files, as the client fetches them through a real gateway."""

import grpc
import pytest

from smart_audit.client.connection import Session
from smart_audit.client.errors import CallError
from smart_audit.client.tiles import LogFiles, TileConnection
from smart_audit.client.verification import read_checkpoint
from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from smart_audit.tlog.hashing import leaf_hash
from smart_audit.tlog.tiles import Tile
from tests.support.events import event, record_batch, settled


async def test_checkpoint_keys_tiles_and_entries_are_of_one_log(gateway):
    user = await gateway.world.new_user()
    await settled(gateway.world, user)
    await record_batch(gateway.world, user, [event() for _ in range(300)])
    async with TileConnection(gateway.address, Session(user.access_token)) as connection:
        files = LogFiles(connection, user.organisation_id)
        signed = read_checkpoint(await files.checkpoint(), *await files.keys())
        assert signed.size == 302
        for size in (302, 257, 256, 255, 2):
            row = [Tile(0, index) for index in range(-(-size // 256))]
            tiles = await files.tiles(row, size, lambda *_: None)
            hashes = b"".join(tiles[tile] for tile in row)
            entries = [leaf for tile in row for leaf in await files.entries(tile.index, size)]
            assert len(entries) == size
            assert hashes == b"".join(map(leaf_hash, entries))
        whole = [leaf for index in (0, 1) for leaf in await files.entries(index, 302)]
        assert grow(CompactRange.empty(), [*map(leaf_hash, whole)]).root == signed.root
        assert len(await files.tile(Tile(1, 0), 302)) == 32


async def test_another_organisations_files_are_refused(gateway):
    user, other = await gateway.world.new_user(), await gateway.world.new_user()
    async with TileConnection(gateway.address, Session(user.access_token)) as connection:
        files = LogFiles(connection, other.organisation_id)
        with pytest.raises(CallError) as refused:
            await files.tiles([Tile(0, 0)], 1, lambda *_: None)
        assert refused.value.code is grpc.StatusCode.PERMISSION_DENIED
        assert refused.value.reason == "LOG_FORBIDDEN"
        # Who is to verify a checkpoint may know the key it is signed by.
        assert (await files.keys())[0].split("+")[0].endswith(f"/{other.organisation_id}")
