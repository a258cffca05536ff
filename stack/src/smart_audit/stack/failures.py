"""How the gateway's own failures look: the one error shape of the API."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from google.rpc import status_pb2
from google.rpc.error_details_pb2 import ErrorInfo

from smart_audit.stack import contract

Json = dict[str, Any]

_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_DOMAIN = "smart-audit"
UNAUTHORIZED, RATE = 401, 429

NOT_GRPC: Json = {
    "name": "content-type",
    "string_match": {"prefix": "application/grpc"},
    "invert_match": True,
    "treat_missing_header_as_empty": True,
}
_IS_GRPC: Json = {"header_filter": {"header": NOT_GRPC | {"invert_match": False}}}


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP status, and what becomes of it.

    `code` is a google.rpc.Code. `details` narrows it to Envoy's own reasons that begin so,
    `authorization` to requests whose header of this name does, `when` to those that an expression
    (CEL) is true of. `shown_status` replaces the HTTP status where Envoy's is misleading.
    """

    status: int
    code: int
    reason: str
    message: str
    details: str = ""
    authorization: str = ""
    when: str = ""
    shown_status: int | None = None


_UNREADABLE = "the request cannot be read"
# The transcoder's own words: they name the field, and repeat what was sent for it.
_UNREADABLE_BECAUSE = f"{_UNREADABLE}: %LOCAL_REPLY_BODY%"
# Methods whose errors may say so: those that want a token, and whose request has no secret. What is
# repeated may be as long as a request may be.
_EXPLAINED = json.dumps(
    [
        method.path
        for method in contract.methods()
        if not (method.secret or method.public or method.optional or method.internal)
    ]
)
# An unknown parameter of a query is found before the method is: its name alone is repeated.
_MAY_BE_EXPLAINED = f"!('x-envoy-original-path' in request.headers) || request.path in {_EXPLAINED}"

# In this order: the first that matches counts.
FAILURES = (
    Failure(
        401,
        16,
        "API_KEY_AS_TOKEN",
        "an API key is no access token; exchange it for one: POST /oauth/token with "
        "grant_type=client_credentials, its prefix as client_id, the key as client_secret",
        authorization="Bearer sa_",
    ),
    Failure(
        401,
        16,
        "TOKEN_MISSING",
        "no access token was sent",
        details="jwt_authn_access_denied{Jwt_is_missing",
    ),
    Failure(
        401,
        16,
        "TOKEN_EXPIRED",
        "the access token has expired",
        details="jwt_authn_access_denied{Jwt_is_expired",
    ),
    Failure(401, 16, "TOKEN_INVALID", "the access token is not valid"),
    # Of the audience only: a token for somebody else is no token here.
    Failure(
        403,
        16,
        "TOKEN_INVALID",
        "the access token is not valid",
        details="jwt_authn_access_denied",
        shown_status=UNAUTHORIZED,
    ),
    Failure(
        400,
        3,
        "INVALID_REQUEST",
        _UNREADABLE_BECAUSE,
        details="early_grpc_json_transcode_failure",
        when=_MAY_BE_EXPLAINED,
    ),
    Failure(
        400,
        3,
        "INVALID_REQUEST",
        _UNREADABLE_BECAUSE,
        details="grpc_json_transcode_failure",
        when=f"request.path in {_EXPLAINED}",
    ),
    Failure(
        400,
        3,
        "INVALID_REQUEST",
        "a query parameter repeats a field of the path",
        details="direct_response",
    ),
    Failure(
        400,
        3,
        "INVALID_REQUEST",
        f"{_UNREADABLE}: is its JSON whole, and each value of its field's type?",
        details="grpc_json_transcode_failure",
    ),
    Failure(400, 3, "INVALID_REQUEST", _UNREADABLE),
    Failure(403, 7, "FORBIDDEN", "the request is not allowed"),
    Failure(404, 5, "ROUTE_NOT_FOUND", "no such path"),
    Failure(405, 12, "METHOD_NOT_ALLOWED", "the path does not know this HTTP method"),
    Failure(406, 3, "INVALID_REQUEST", "this file is sent compressed only: accept gzip"),
    Failure(408, 4, "REQUEST_TIMEOUT", "the request took too long to arrive"),
    Failure(413, 8, "REQUEST_TOO_LARGE", "the request is larger than 4 MiB"),
    Failure(415, 3, "UNSUPPORTED_MEDIA_TYPE", "the content type is not supported"),
    Failure(429, 8, "TOO_MANY_REQUESTS", "too many requests; try again later"),
    Failure(431, 8, "HEADERS_TOO_LARGE", "the headers are too large"),
    Failure(500, 13, "INTERNAL", "the gateway failed"),
    Failure(502, 14, "UPSTREAM_UNAVAILABLE", "the service does not answer; try again later"),
    Failure(503, 14, "UPSTREAM_UNAVAILABLE", "the service does not answer; try again later"),
    Failure(504, 4, "UPSTREAM_TIMEOUT", "the service took too long"),
)


def mappers() -> list[Json]:
    """Return the mappers of Envoy's local_reply_config."""
    # A gRPC client gets Envoy's own words, but for what would mislead it.
    told = [
        one
        for one in FAILURES
        if one.authorization or UNAUTHORIZED in (one.status, one.shown_status) or one.status == RATE
    ]
    return [*map(_mapper, FAILURES), *map(_grpc_mapper, told)]


def body(code: int, reason: str, message: str) -> Json:
    """Return one error as JSON: google.rpc.Status with one ErrorInfo."""
    info = {"@type": _ERROR_INFO, "reason": reason, "domain": _DOMAIN, "metadata": {}}
    return {"code": code, "message": message, "details": [info]}


def _mapper(failure: Failure) -> Json:
    mapper: Json = {
        "filter": {"and_filter": {"filters": [_asked_in_json(), *_conditions(failure)]}},
        "body_format_override": {
            "json_format": body(failure.code, failure.reason, failure.message)
        },
    }
    if failure.shown_status is not None:
        mapper["status_code"] = failure.shown_status
    return mapper


def _grpc_mapper(failure: Failure) -> Json:
    """The message, the code and the details of a gRPC status."""
    status = status_pb2.Status(code=failure.code, message=failure.message)
    status.details.add().Pack(ErrorInfo(reason=failure.reason, domain=_DOMAIN))
    details = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
    return {
        "headers_to_add": [{"header": {"key": "grpc-status-details-bin", "value": details}}],
        "filter": {"and_filter": {"filters": [_IS_GRPC, *_conditions(failure)]}},
        "body_format_override": {"text_format_source": {"inline_string": failure.message}},
        "status_code": failure.shown_status or failure.status,
    }


def _conditions(failure: Failure) -> list[Json]:
    conditions = [_has_status(failure.status)]
    if failure.details:
        conditions.append(_is_true(f'response.code_details.startsWith("{failure.details}")'))
    if failure.authorization:
        begins = {"prefix": failure.authorization, "ignore_case": True}
        header = {"name": "authorization", "string_match": begins}
        conditions.append({"header_filter": {"header": header}})
    if failure.when:
        conditions.append(_is_true(failure.when))
    return conditions


def _has_status(status: int) -> Json:
    value = {"default_value": status, "runtime_key": "unused"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _asked_in_json() -> Json:
    """Match JSON requests: a client of gRPC or gRPC-Web gets the gRPC status that Envoy makes.

    The transcoder turns the content type of a JSON request to gRPC, and leaves the original path.
    """
    transcoded = {"name": "x-envoy-original-path", "present_match": True}
    filters = [{"header_filter": {"header": header}} for header in (NOT_GRPC, transcoded)]
    return {"or_filter": {"filters": filters}}


def _is_true(expression: str) -> Json:
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {
                "@type": "type.googleapis.com/"
                "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
                "expression": expression,
            },
        }
    }
