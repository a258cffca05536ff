"""Exports, between protobuf and the domain."""

from uuid import UUID

from google.api.httpbody_pb2 import HttpBody
from google.longrunning import operations_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from smart_audit.api.audit.v1 import exports_pb2
from smart_audit.audit import export_cursor, exports
from smart_audit.audit.domain import EventId, OrganisationId
from smart_audit.audit.exports import Export, ExportState
from smart_audit.audit.formats import FormatName, open_format
from smart_audit.audit.messages.times import timestamp
from smart_audit.core.errors import InvalidArgument
from smart_audit.core.rpc.status import DOMAIN

CURSOR_HEADER = "export-cursor"

PREFIX = "EXPORT_FORMAT_"
JSONL = exports_pb2.EXPORT_FORMAT_JSONL
FAILURES = {"LOG_DAMAGED": code_pb2.DATA_LOSS, "EXPORT_LIMIT_REACHED": code_pb2.RESOURCE_EXHAUSTED}


def to_spec(
    request: exports_pb2.ExportEventsRequest | exports_pb2.CreateExportRequest,
) -> exports.ExportSpec:
    """What to export, and how. Raises: InvalidArgument."""
    name = exports_pb2.ExportFormat.Name(request.format or JSONL)
    try:
        format_name = FormatName(name.removeprefix(PREFIX).lower())
    except ValueError as error:
        offered = ", ".join(f"{PREFIX}{one.name}" for one in FormatName)
        what = f"is not offered here; take one of {offered}"
        raise InvalidArgument(f"format {what}", fields={"format": what}) from error
    return exports.ExportSpec(format_name, request.filter, request.proofs)


def to_cursor(
    request: exports_pb2.ExportEventsRequest,
    spec: exports.ExportSpec,
    organisation_id: OrganisationId,
) -> exports.Cursor | None:
    """Where to begin. Raises: ExportCursorInvalid."""
    if not request.cursor:
        return None
    return export_cursor.from_text(request.cursor, spec, organisation_id)


def to_after(request: exports_pb2.ExportEventsRequest) -> EventId | None:
    """The last event at hand."""
    return EventId(UUID(request.after)) if request.after else None


def from_piece(content_type: str, piece: bytes) -> HttpBody:
    """A piece of a file."""
    return HttpBody(content_type=content_type, data=piece)


def stream_headers(cursor: str, file_name: str) -> tuple[tuple[str, str], ...]:
    """What a stream sends ahead; the gateway makes HTTP headers of it."""
    return ((CURSOR_HEADER, cursor), *file_headers(file_name))


def file_headers(file_name: str) -> tuple[tuple[str, str], ...]:
    """What makes a browser keep a file (RFC 6266)."""
    return (
        ("content-disposition", f'attachment; filename="{file_name}"'),
        ("cache-control", "no-store"),
    )


def from_export(export: Export) -> operations_pb2.Operation:
    """The operation of an export (AIP-151)."""
    operation = operations_pb2.Operation(name=f"operations/{export.id}", done=export.state.is_done)
    operation.metadata.Pack(_progress(export))
    match export.state:
        case ExportState.SUCCEEDED | ExportState.EXPIRED:
            operation.response.Pack(_file(export))
        case ExportState.FAILED:
            code = FAILURES.get(export.failure, code_pb2.INTERNAL)
            operation.error.CopyFrom(_status(code, export.failure, export.message))
        case ExportState.CANCELLED:
            code = code_pb2.CANCELLED
            operation.error.CopyFrom(_status(code, "EXPORT_NOT_READY", "it was cancelled"))
    return operation


def file_name(export: Export) -> str:
    """A name for an export's file."""
    day = export.created_at.strftime("%Y-%m-%d")
    return f"events-{day}.{open_format(export.spec.format).file_extension}"


def _progress(export: Export) -> exports_pb2.ExportProgress:
    progress = exports_pb2.ExportProgress(
        state=exports_pb2.ExportState.ValueType(export.state),
        format=exports_pb2.ExportFormat.Value(f"{PREFIX}{export.spec.format.name}"),
        filter=export.spec.filter,
        proofs=export.spec.proofs,
        log_size=export.log_size,
        events_done=export.events,
        events_estimated=0 if export.spec.filter else export.log_size,
        bytes_done=export.size,
        created_by=export.created_by,
        created_at=timestamp(export.created_at),
    )
    if export.finished_at is not None:
        progress.finished_at.CopyFrom(timestamp(export.finished_at))
    if export.expires_at is not None:
        progress.expires_at.CopyFrom(timestamp(export.expires_at))
    return progress


def _file(export: Export) -> exports_pb2.ExportFile:
    file = exports_pb2.ExportFile(
        download=f"/v1/exports/{export.id}/file",
        file_name=file_name(export),
        content_type=open_format(export.spec.format).content_type,
        size=export.size,
        sha256=export.sha256.hex(),
        events=export.events,
    )
    if export.expires_at is not None:
        file.expires_at.CopyFrom(timestamp(export.expires_at))
    return file


def _status(code: int, reason: str, message: str) -> status_pb2.Status:
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
    return status
