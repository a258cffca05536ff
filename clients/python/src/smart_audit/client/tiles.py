"""A log's files: its checkpoint, tiles of hashes, bundles of entries, and keys.

Nothing that comes back is believed here: that is for whoever computes a root from it.

Source: C2SP tlog-tiles.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc

from smart_audit.api.audit.v1 import tiles_pb2, tiles_pb2_grpc
from smart_audit.client.connection import Connection
from smart_audit.client.errors import CallError
from smart_audit.client.verification import VerificationError
from smart_audit.tlog.entrybundle import BundleError, unpack
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, entries_path, tile_path

AT_ONCE: Final = 16  # calls


class TileConnection(Connection):
    """A connection that reads a log's files as well."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.tiles = tiles_pb2_grpc.TileServiceStub(self._channel)


class LogFiles:
    """The files of an organisation's log, each as it is in a tree of a given size."""

    def __init__(self, connection: TileConnection, organisation_id: str) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def checkpoint(self) -> str:
        """The latest signed note, with the cosignatures it has. Raises: CallError."""
        request = tiles_pb2.GetLogCheckpointRequest(organisation_id=self._organisation_id)
        answer = await self._connection.call(self._connection.tiles.GetLogCheckpoint, request)
        return _text(answer.data)

    async def keys(self) -> list[str]:
        """The verifier keys of the log, the newest first. Raises: CallError."""
        request = tiles_pb2.GetLogKeyRequest(organisation_id=self._organisation_id)
        answer = await self._connection.call(self._connection.tiles.GetLogKey, request)
        return _text(answer.data).splitlines()

    async def tiles(
        self, wanted: Sequence[Tile], size: int, on_tile: Callable[[int, int], None]
    ) -> dict[Tile, bytes]:
        """Some tiles at a time. on_tile: told (done, total).

        Raises: VerificationError, CallError.
        """
        tiles: dict[Tile, bytes] = {}
        todo = iter(wanted)

        async def work() -> None:
            for tile in todo:
                tiles[tile] = await self.tile(tile, size)
                on_tile(len(tiles), len(wanted))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(work())
        except ExceptionGroup as failed:
            # One call has failed for good and has ended the others: it alone is the reason.
            raise failed.exceptions[0] from failed
        return tiles

    async def tile(self, tile: Tile, size: int) -> bytes:
        """The hashes of a tile, 32 bytes each. Raises: VerificationError, CallError."""
        width = _width(tile, size)
        data = await self._file(lambda width: tile_path(tile.level, tile.index, width), width)
        if len(data) < width * HASH_SIZE:
            raise VerificationError(f"{tile_path(tile.level, tile.index, width)} is too short")
        return data[: width * HASH_SIZE]

    async def entries(self, index: int, size: int) -> list[bytes]:
        """The leaves of a bundle: those of which tile `index` of level 0 holds the hashes.

        Raises: VerificationError; CallError, with EVENT_EXPIRED when retention has removed one.
        """
        width = _width(Tile(0, index), size)
        data = await self._file(lambda width: entries_path(index, width), width)
        try:
            return unpack(data)[:width]
        except BundleError as error:
            raise VerificationError(f"{entries_path(index, width)}: {error}") from error

    async def _file(self, path: Callable[[int], str], width: int) -> bytes:
        """A file of at least this width. Raises: CallError."""
        try:
            return await self._get(path(width))
        except CallError as error:
            # A partial tile may be gone once it has become full (C2SP tlog-tiles, "Partial Tiles").
            if width == TILE_WIDTH or error.code is not grpc.StatusCode.NOT_FOUND:
                raise
        return await self._get(path(TILE_WIDTH))

    async def _get(self, path: str) -> bytes:
        request = tiles_pb2.GetTileRequest(
            organisation_id=self._organisation_id, path=path.removeprefix("tile/")
        )
        answer = await self._connection.call(self._connection.tiles.GetTile, request)
        return bytes(answer.data)


def _width(tile: Tile, size: int) -> int:
    """How many hashes the tile has in a tree of `size` leaves, 1 to 256."""
    return min(TILE_WIDTH, (size >> (TILE_HEIGHT * tile.level)) - tile.index * TILE_WIDTH)


def _text(data: bytes) -> str:
    """What is not UTF-8 verifies nowhere; it is shown as it can be."""
    return data.decode(errors="replace")
