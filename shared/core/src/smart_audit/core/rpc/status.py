"""The one mapping from refusals to `google.rpc.Status` (AIP-193)."""

from typing import Any

import grpc
import psycopg
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from smart_audit.core import errors

DOMAIN = "smart-audit"
RETRYABLE = {"08", "53", "57"}

CODES: dict[type[errors.DomainError], int] = {
    errors.InvalidArgument: code_pb2.INVALID_ARGUMENT,
    errors.Unauthenticated: code_pb2.UNAUTHENTICATED,
    errors.PermissionDenied: code_pb2.PERMISSION_DENIED,
    errors.NotFound: code_pb2.NOT_FOUND,
    errors.AlreadyExists: code_pb2.ALREADY_EXISTS,
    errors.FailedPrecondition: code_pb2.FAILED_PRECONDITION,
    errors.ResourceExhausted: code_pb2.RESOURCE_EXHAUSTED,
    errors.Unavailable: code_pb2.UNAVAILABLE,
    errors.DataLoss: code_pb2.DATA_LOSS,
}


def to_status(error: errors.DomainError, request_id: str) -> status_pb2.Status:
    """The status of a refusal: code, message, ErrorInfo, and BadRequest for bad fields."""
    code = next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if isinstance(error, errors.InvalidArgument) and error.fields:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=field, description=description, reason=error.field_reason
            )
            for field, description in error.fields.items()
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if isinstance(error, errors.ResourceExhausted):
        delay = duration_pb2.Duration(seconds=error.retry_after_s)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=code, message=error.message, details=map(_pack, details))


def from_exception(error: Exception, request_id: str) -> status_pb2.Status:
    """The status of anything that was raised; what is not a refusal is masked."""
    if isinstance(error, errors.DomainError):
        return to_status(error, request_id)
    if is_unreachable(error):
        return to_status(errors.Unavailable("the database does not answer; retry"), request_id)
    return status_pb2.Status(
        code=code_pb2.INTERNAL,
        message="internal error; the request id finds it in the logs",
        details=[
            _pack(error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN)),
            _pack(error_details_pb2.RequestInfo(request_id=request_id)),
        ],
    )


def is_unreachable(error: Exception) -> bool:
    """Whether the database was away, full or restarting, so that a retry may work."""
    if isinstance(error, PoolTimeout):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    # Class 08 is a connection exception, 53 insufficient resources, 57 operator intervention;
    # a connection that broke has no state at all.
    state = getattr(cause, "sqlstate", None) or ""
    return isinstance(cause, psycopg.OperationalError) and (not state or state[:2] in RETRYABLE)


def on_the_wire(status: status_pb2.Status) -> Any:
    """The status as grpc sends it; what may be retried says when, for HTTP clients too."""
    sent: Any = rpc_status.to_status(status)
    retry = error_details_pb2.RetryInfo()
    if any(detail.Unpack(retry) for detail in status.details):
        after = ("retry-after", str(retry.retry_delay.seconds))
        return sent._replace(trailing_metadata=(*sent.trailing_metadata, after))
    return sent


def grpc_code(status: status_pb2.Status) -> grpc.StatusCode:
    """The status's code as grpc names it."""
    return next(code for code in grpc.StatusCode if code.value[0] == status.code)


def _pack(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
