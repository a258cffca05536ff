"""ExportService: from the wire to a use case and back."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from smart_audit.api.audit.v1 import exports_pb2, exports_pb2_grpc
from smart_audit.audit.domain import KIB, EventId
from smart_audit.audit.export_streams import Streams
from smart_audit.audit.formats import open_format
from smart_audit.audit.messages.exports import (
    file_headers,
    file_name,
    from_export,
    from_piece,
    stream_headers,
    to_after,
    to_cursor,
    to_spec,
)
from smart_audit.audit.messages.pages import to_export_position, to_export_token, to_page_size
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import actor, organisation
from smart_audit.audit.use_cases.begin_export import begin_export
from smart_audit.audit.use_cases.order_exports import (
    Exporting,
    cancel_export,
    create_export,
    delete_export,
    download_export,
    get_export,
    list_exports,
    read_file,
)
from smart_audit.audit.use_cases.write_export import Writing
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.context import current_authorization, reading
from smart_audit.core.tokens import TokenVerifier, bearer_of

# The gateway passes on messages below 1 MiB one by one, whatever the back-pressure.
MESSAGE_BYTES = 512 * KIB


class ExportServicer(exports_pb2_grpc.ExportServiceServicer):
    """Hands out events as files."""

    def __init__(
        self,
        database: Database,
        deps: Exporting,
        verifier: TokenVerifier,
        streams: Streams,
    ) -> None:
        self._database = database
        self._deps = deps
        self._verifier = verifier
        self._streams = streams

    async def ExportEvents(
        self, request: exports_pb2.ExportEventsRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        """Stream events as a file."""
        organisation_id, spec = organisation(), to_spec(request)
        cursor = to_cursor(request, spec, organisation_id)
        reading({"format": spec.format.value, "filter": spec.filter})
        with self._streams.one_of(organisation_id):
            writing = await begin_export(
                spec,
                cursor,
                to_after(request),
                organisation_id,
                self._database,
                self._deps.checkpointing,
            )
            name = f"events.{writing.format.file_extension}"
            await context.send_initial_metadata(stream_headers(writing.cursor, name))
            async for piece in self._pieces(writing):
                for part in _parts(piece):
                    yield from_piece(writing.format.content_type, part)
            reading(results=writing.events)

    async def CreateExport(self, request: exports_pb2.CreateExportRequest, context: Any) -> Any:
        """Order an export."""
        export = await create_export(
            organisation(), to_spec(request), actor(), self._database, self._deps
        )
        return from_export(export)

    async def GetOperation(self, request: exports_pb2.GetOperationRequest, context: Any) -> Any:
        """Return an operation."""
        export_id = EventId(UUID(request.operation_id))
        return from_export(await get_export(organisation(), export_id, self._database, self._deps))

    async def ListOperations(self, request: exports_pb2.ListOperationsRequest, context: Any) -> Any:
        """Return a page of operations."""
        own = organisation()
        after, limit = to_export_position(request, own), to_page_size(request)
        found, end = await list_exports(own, after, limit, self._database, self._deps)
        return exports_pb2.ListOperationsResponse(
            operations=map(from_export, found), next_page_token=to_export_token(end, request, own)
        )

    async def CancelOperation(
        self, request: exports_pb2.CancelOperationRequest, context: Any
    ) -> Any:
        """Cancel an operation."""
        export_id = EventId(UUID(request.operation_id))
        await cancel_export(organisation(), export_id, actor(), self._database, self._deps)
        return Empty()

    async def DeleteOperation(
        self, request: exports_pb2.DeleteOperationRequest, context: Any
    ) -> Any:
        """Delete an operation."""
        export_id = EventId(UUID(request.operation_id))
        await delete_export(organisation(), export_id, actor(), self._database, self._deps)
        return Empty()

    async def DownloadExport(
        self, request: exports_pb2.DownloadExportRequest, context: Any
    ) -> AsyncIterator[HttpBody]:
        """Stream the file of an export."""
        organisation_id, export_id = organisation(), EventId(UUID(request.export_id))
        reading(target=("export", request.export_id))
        with self._streams.one_of(organisation_id):
            export = await download_export(organisation_id, export_id, self._database, self._deps)
            content_type = open_format(export.spec.format).content_type
            chunks = read_file(organisation_id, export, request.offset, self._database, self._deps)
            first = await anext(chunks, b"")
            await context.send_initial_metadata(file_headers(file_name(export)))
            yield from_piece(content_type, first)
            async for chunk in chunks:
                await self._still_allowed()
                yield from_piece(content_type, chunk)

    async def _pieces(self, writing: Writing) -> AsyncIterator[bytes]:
        """All of a file; if it breaks off, it says so itself, since HTTP/1.1 cannot."""
        yield writing.begin()
        try:
            async for piece in writing.pages(self._database):
                yield piece
                await self._still_allowed()
        except Exception as error:
            yield writing.broken_off(error.reason if isinstance(error, DomainError) else "INTERNAL")
            raise
        yield writing.end()

    async def _still_allowed(self) -> None:
        """A stream ends with the token that it was asked for with.

        Raises: TokenExpired, SessionEnded, Unavailable.
        """
        await self._verifier.verify(bearer_of(current_authorization()) or "")


def _parts(piece: bytes) -> Iterator[bytes]:
    """A piece in messages that are small enough; an empty one too is a message."""
    for first in range(0, len(piece) or 1, MESSAGE_BYTES):
        yield piece[first : first + MESSAGE_BYTES]
