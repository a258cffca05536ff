"""Why a call failed, as the service says it or as the transport leaves it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

# What Envoy answers while it has not fetched the keys of tokens yet, as after a restart.
_KEYS_NOT_FETCHED = "Jwks remote fetch is failed"

_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
# Made up on the way when a connection breaks under a call; a service of ours adds a reason.
_BROKEN_CONNECTION = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)

# How gRPC tells that nobody is there, by the last of the addresses that it has tried.
_NO_CONNECTION: Final = re.compile(
    r"failed to connect to all addresses; last error: (?:[A-Z]+: )?(?:ipv[46]:)?(\S+): "
    r"(?:Failed to connect to remote host: )?(.+)",
    re.DOTALL,
)


@dataclass(eq=False)
class CallError(Exception):
    """A call that failed.

    reason: of `ErrorReason`, e.g. "TOKEN_EXPIRED"; empty when no service of ours answered.
    request_id: finds the call in the service's logs; may be empty.
    metadata: the values in the message; fields: what is wrong, by path of the field.
    retry_after_s: when the service wants to be asked again; 0 when it does not say.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    request_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float = 0.0

    def __str__(self) -> str:
        """One sentence, then reason and request id in parentheses."""
        text = self.message.rstrip(".") or self.code.name
        if self.fields:
            text += ": " + "; ".join(f"{path} {what}" for path, what in self.fields.items())
        marks = [self.reason or self.code.name]
        if self.request_id:
            marks.append(f"request {self.request_id}")
        return f"{text} ({', '.join(marks)})"

    @staticmethod
    def of(error: grpc.aio.AioRpcError) -> "CallError":
        """Read the google.rpc.Status behind an error, if it has one (AIP-193)."""
        found = call_error(error.code(), _in_short(error.details() or ""))
        status = _status(error)
        if status is not None:
            found.read_details(status)
        return found

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed in a moment."""
        if self.code in _PASSING or self.reason == "OVERLOADED":
            return True
        if self.code is grpc.StatusCode.UNAUTHENTICATED:
            return _KEYS_NOT_FETCHED in self.message
        return self.code in _BROKEN_CONNECTION and not self.reason

    def read_details(self, status: status_pb2.Status) -> None:
        """Take over what the details of a status say."""
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            request = error_details_pb2.RequestInfo()
            bad = error_details_pb2.BadRequest()
            retry = error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                self.reason, self.metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(request):
                self.request_id = request.request_id
            elif detail.Unpack(bad):
                self.fields = {one.field: one.description for one in bad.field_violations}
            elif detail.Unpack(retry):
                self.retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()


class Unauthenticated(CallError):
    """Who calls is not known: the token, the key or the password is none, or no more."""


class PermissionDenied(CallError):
    """Who calls may not do this."""


class NotFound(CallError):
    """There is no such thing, or none that the caller may see."""


class Conflict(CallError):
    """It is there already, with other content, or changed meanwhile."""


class InvalidArgument(CallError):
    """The request is wrong; `fields` says where."""


class PreconditionFailed(CallError):
    """Something else has to happen first."""


class RateLimited(CallError):
    """Too much at once; `retry_after_s` says when to try again."""


class Unavailable(CallError):
    """The service is away, or did not answer in time."""


class DataLoss(CallError):
    """What is stored is not what was recorded."""


_BY_CODE: Final = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: PreconditionFailed,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimited,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: Unavailable,
    grpc.StatusCode.DATA_LOSS: DataLoss,
}


def call_error(code: grpc.StatusCode, message: str, reason: str = "") -> CallError:
    """The error of the class that goes by this code."""
    return _BY_CODE.get(code, CallError)(code, message, reason)


def _in_short(details: str) -> str:
    """What gRPC says, without its own road to it."""
    found = _NO_CONNECTION.fullmatch(details)
    if found is None:
        return details
    address, why = found.groups()
    return f"no connection to {unquote(address)}: {why}"


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    try:
        # The stub's type names the synchronous call alone; only what both have is used.
        return rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:
        # Details that contradict the code: somebody between us and the service changed one.
        return None
