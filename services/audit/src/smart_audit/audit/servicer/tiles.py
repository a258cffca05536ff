"""TileService: from the wire to a use case and back."""

from typing import Any
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.audit.v1 import tiles_pb2, tiles_pb2_grpc
from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.messages.tiles import BYTES, TEXT, cache_control, from_file, to_tile_path
from smart_audit.audit.repository import Database
from smart_audit.audit.use_cases.checkpoint import Checkpointing
from smart_audit.audit.use_cases.tiles import File, get_log_checkpoint, get_log_key, get_tile
from smart_audit.core.rpc.context import caller_if_any


class TileServicer(tiles_pb2_grpc.TileServiceServicer):
    """Serves a log as files that other tools read."""

    def __init__(self, database: Database, checkpointing: Checkpointing) -> None:
        self._database = database
        self._checkpointing = checkpointing

    async def GetLogCheckpoint(
        self, request: tiles_pb2.GetLogCheckpointRequest, context: Any
    ) -> Any:
        """Return the latest checkpoint."""
        file = await get_log_checkpoint(
            _log(request.organisation_id),
            caller_if_any(),
            self._database,
            self._checkpointing,
            cosigned=request.cosigned,
        )
        return await _answer(file, TEXT, context)

    async def GetTile(self, request: tiles_pb2.GetTileRequest, context: Any) -> Any:
        """Return a tile of hashes, or a bundle of entries."""
        path = to_tile_path(request.path)
        file = await get_tile(path, _log(request.organisation_id), caller_if_any(), self._database)
        return await _answer(file, BYTES, context)

    async def GetLogKey(self, request: tiles_pb2.GetLogKeyRequest, context: Any) -> Any:
        """Return the keys that verify checkpoints."""
        organisation_id = _log(request.organisation_id)
        file = await get_log_key(organisation_id, self._database, self._checkpointing)
        return await _answer(file, TEXT, context)


def _log(organisation_id: str) -> OrganisationId:
    return OrganisationId(UUID(organisation_id))


async def _answer(file: File, content_type: str, context: Any) -> HttpBody:
    """The gateway turns what the call sends ahead into HTTP headers."""
    await context.send_initial_metadata((("cache-control", cache_control(file)),))
    return from_file(file, content_type)
