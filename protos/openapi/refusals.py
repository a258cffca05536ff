"""Why a call is refused, and with which HTTP status."""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from http import HTTPStatus

from google.protobuf.descriptor import MethodDescriptor
from google.rpc import code_pb2

# Imported for the refusals that they define.
import smart_audit.audit.errors
import smart_audit.auth.errors
import smart_audit.core.rpc.access
import smart_audit.core.tokens  # noqa: F401
from protos.openapi.comments import Comments
from smart_audit.api.access.v1 import access_pb2
from smart_audit.core.errors import DomainError
from smart_audit.core.rpc.status import CODES
from smart_audit.stack.failures import FAILURES

# As the gateway's transcoder translates them (google/rpc/code.proto).
_STATUSES = {
    code_pb2.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    code_pb2.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    code_pb2.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    code_pb2.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    code_pb2.NOT_FOUND: HTTPStatus.NOT_FOUND,
    code_pb2.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    code_pb2.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    code_pb2.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    code_pb2.DATA_LOSS: HTTPStatus.INTERNAL_SERVER_ERROR,
}
_FAILS_WITH = re.compile(r"[Ff]ails\s+with\s+(.*?)(?:\.\s|\.$|$)", re.DOTALL)
_REASON = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")

_TOKEN = ("TOKEN_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "SESSION_ENDED", "API_KEY_AS_TOKEN")
_ANY_CALL = (
    "INVALID_REQUEST",
    "TOO_MANY_REQUESTS",
    "HEADERS_TOO_LARGE",
    "INTERNAL",
    "UNAVAILABLE",
    "UPSTREAM_UNAVAILABLE",
)
_WITH_BODY = ("REQUEST_TIMEOUT", "REQUEST_TOO_LARGE")
_TOO_SLOW = "UPSTREAM_TIMEOUT"

Reasons = dict[HTTPStatus, list[str]]
"""The reasons of each HTTP status."""


def reasons_of(method: MethodDescriptor, comments: Comments, *, has_body: bool) -> Reasons:
    """Why a call of the method may be refused, by HTTP status, the method's own reasons first."""
    return _by_status([*_declared(method, comments), *_general(method, has_body=has_body)])


def _declared(method: MethodDescriptor, comments: Comments) -> Iterator[str]:
    """What the comments say that it fails with: its own, those of its service and its request."""
    names = [method.full_name, method.containing_service.full_name]
    names += [field.full_name for field in method.input_type.fields]
    for name in names:
        for sentence in _FAILS_WITH.findall(comments.of(name)):
            yield from _REASON.findall(sentence)


def _general(method: MethodDescriptor, *, has_body: bool) -> Iterator[str]:
    access = method.GetOptions().Extensions[access_pb2.access]
    rule = access.WhichOneof("rule")
    if method.input_type.fields:
        yield "INVALID_ARGUMENT"
    if rule != "public":
        # Also where a token is optional: the service may show what is asked for to some only.
        yield from _TOKEN
    if access.scope:
        yield "SCOPE_MISSING"
    if access.person or access.recent:
        yield "PERSON_REQUIRED"
    if access.own_name or access.recent:
        yield "IMPERSONATION_FORBIDDEN"
    if access.recent:
        yield "REAUTHENTICATION_REQUIRED"
    yield from _ANY_CALL
    if has_body:
        yield from _WITH_BODY
    if not method.server_streaming:
        yield _TOO_SLOW


def _kinds(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


def _by_status(reasons: Iterable[str]) -> Reasons:
    known = _statuses()
    found: Reasons = {}
    for reason in dict.fromkeys(reasons):
        # Some reasons are of a field, or of the last record of a stream: no status is theirs.
        for status in sorted(known.get(reason, ())):
            found.setdefault(status, []).append(reason)
    return dict(sorted(found.items()))


@cache
def _statuses() -> dict[str, set[HTTPStatus]]:
    """The HTTP statuses of each reason; some have two."""
    found: dict[str, set[HTTPStatus]] = {}
    for kind in _kinds(DomainError):
        code = next((CODES[base] for base in kind.__mro__ if base in CODES), None)
        if code is not None and hasattr(kind, "reason"):
            found.setdefault(kind.reason, set()).add(_STATUSES[code])
    for failure in FAILURES:
        if failure.status == HTTPStatus.NOT_ACCEPTABLE:
            continue  # of files, and of no operation
        found.setdefault(failure.reason, set()).add(
            HTTPStatus(failure.shown_status or failure.status)
        )
    return found


GENERAL = _by_status([*_TOKEN, *_ANY_CALL, *_WITH_BODY, _TOO_SLOW])
"""The reasons that are not of one method, by HTTP status."""
