"""A log as files, read over gRPC: checkpoint, keys, tiles, entry bundles (C2SP tlog-tiles).

Nothing here is verified but the size of a tile and the form of a bundle.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Final, TypeVar

import grpc

from smart_audit.api.audit.v1 import tiles_pb2
from smart_audit.client.connection import Connection
from smart_audit.client.errors import CallError
from smart_audit.tlog.entrybundle import BundleError, unpack
from smart_audit.tlog.hashing import HASH_SIZE
from smart_audit.tlog.tiles import entries_path, tile_path

_PREFIX: Final = "tile/"
# Answers that say something about the file rather than about the connection or the caller: it is
# damaged, it is gone, or the service breaks down over it. In each case it is not proven.
_FAULTS: Final = frozenset(
    {grpc.StatusCode.DATA_LOSS, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INTERNAL}
)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class FileFault(Exception):
    """A file that is not what it should be, or that the service cannot give.

    log_index: the entry that the service names, if it names one.
    """

    def __init__(self, path: str, why: str, log_index: int | None = None) -> None:
        super().__init__(why)
        self.path = path
        self.log_index = log_index


class Expired(Exception):
    """Retention has removed content of a bundle."""


class LogFiles:
    """The files of one log."""

    def __init__(self, connection: Connection, organisation_id: str) -> None:
        self._connection = connection
        self._organisation_id = organisation_id

    async def checkpoint(self) -> str:
        """The latest checkpoint, a signed note.

        Raises: FileFault, CallError.
        """
        request = tiles_pb2.GetLogCheckpointRequest(organisation_id=self._organisation_id)
        answer = await self._connection.call(self._connection.tiles.GetLogCheckpoint, request)
        return _text("checkpoint", answer.data)

    async def keys(self) -> list[str]:
        """The verifier keys that the service gives out, the newest first.

        Raises: FileFault, CallError.
        """
        request = tiles_pb2.GetLogKeyRequest(organisation_id=self._organisation_id)
        answer = await self._connection.call(self._connection.tiles.GetLogKey, request)
        return _text("key", answer.data).splitlines()

    async def tile(self, level: int, index: int, width: int) -> bytes:
        """The first `width` hashes of a tile, concatenated.

        Raises: FileFault, CallError.
        """
        path = tile_path(level, index, width)
        data = await self._get(path)
        if len(data) != width * HASH_SIZE:
            raise FileFault(path, f"it has {len(data)} bytes instead of {width * HASH_SIZE}")
        return data

    async def bundle(self, index: int, width: int) -> list[bytes]:
        """The first `width` entries of a bundle.

        Raises: Expired, FileFault, CallError.
        """
        path = entries_path(index, width)
        try:
            return unpack(await self._get(path), width)
        except BundleError as error:
            raise FileFault(path, str(error)) from error

    async def _get(self, path: str) -> bytes:
        request = tiles_pb2.GetTileRequest(
            organisation_id=self._organisation_id, path=path.removeprefix(_PREFIX)
        )
        try:
            answer = await self._connection.call(self._connection.tiles.GetTile, request)
        except CallError as error:
            if error.reason == "EVENT_EXPIRED":
                raise Expired from error
            if not is_fault(error):
                raise
            raise FileFault(path, str(error), named_entry(error)) from error
        return bytes(answer.data)


def is_fault(error: CallError) -> bool:
    """Whether a failed call says that something in the log is not as it should be."""
    return error.code in _FAULTS and not error.may_pass


def named_entry(error: CallError) -> int | None:
    """The log index that a failed call names."""
    index = error.metadata.get("log_index", "")
    return int(index) if index.isdecimal() else None


async def in_order(
    items: Iterable[Item], get: Callable[[Item], Awaitable[Answer]], ahead: int
) -> AsyncGenerator[tuple[Item, Answer]]:
    """What `get` gives for each item, in their order; `ahead` of them are under way at a time."""
    under_way: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
    try:
        for item in items:
            under_way.append((item, asyncio.ensure_future(get(item))))
            if len(under_way) == ahead:
                first, answer = under_way.popleft()
                yield first, await answer
        while under_way:
            first, answer = under_way.popleft()
            yield first, await answer
    finally:
        for _, answer in under_way:
            answer.cancel()
        await asyncio.gather(*(answer for _, answer in under_way), return_exceptions=True)


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FileFault(path, "it is not UTF-8") from error
