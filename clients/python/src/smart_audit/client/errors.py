"""Why a call failed, as the service says it or as the transport leaves it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

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


@dataclass
class CallError(Exception):
    """A call that failed.

    reason: of `ErrorReason`, e.g. "TOKEN_EXPIRED"; empty when no service of ours answered.
    request_id: finds the call in the service's logs; may be empty.
    metadata: the values in the message; fields: what is wrong, by path of the field.
    """

    code: grpc.StatusCode
    message: str
    reason: str = ""
    request_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """One sentence, then reason and request id in parentheses."""
        text = self.message.rstrip(".") or self.code.name
        if self.fields:
            text += ": " + "; ".join(f"{path} {what}" for path, what in self.fields.items())
        marks = [self.reason or self.code.name]
        if self.request_id:
            marks.append(f"request {self.request_id}")
        return f"{text} ({', '.join(marks)})"

    @classmethod
    def of(cls, error: grpc.aio.AioRpcError) -> Self:
        """Read the google.rpc.Status behind an error, if it has one (AIP-193)."""
        found = cls(error.code(), error.details() or "")
        status = _status(error)
        if status is not None:
            found._read_details(status)
        return found

    @property
    def may_pass(self) -> bool:
        """Whether the same call may succeed in a moment."""
        if self.code in _PASSING or self.reason == "OVERLOADED":
            return True
        if self.code is grpc.StatusCode.UNAUTHENTICATED:
            return _KEYS_NOT_FETCHED in self.message
        return self.code in _BROKEN_CONNECTION and not self.reason

    def _read_details(self, status: status_pb2.Status) -> None:
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            request = error_details_pb2.RequestInfo()
            bad = error_details_pb2.BadRequest()
            if detail.Unpack(info):
                self.reason, self.metadata = info.reason, dict(info.metadata)
            elif detail.Unpack(request):
                self.request_id = request.request_id
            elif detail.Unpack(bad):
                self.fields = {one.field: one.description for one in bad.field_violations}


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status | None:
    try:
        # The stub's type names the synchronous call alone; only what both have is used.
        return rpc_status.from_call(error)  # type: ignore[arg-type]
    except ValueError:
        # Details that contradict the code: somebody between us and the service changed one.
        return None
