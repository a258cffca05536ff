"""The whole document."""

from itertools import groupby
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from protos.openapi.bodies import BEARER, BODIES, CLIENT, COMPONENTS, HTTP_BODY, MORE_ANSWERS
from protos.openapi.comments import Comments
from protos.openapi.operations import (
    REASON_PREFIX,
    SHARED,
    Operations,
    openapi_path,
)
from protos.openapi.refusals import GENERAL
from protos.openapi.schemas import Schemas
from protos.openapi.well_known import DETAILS, ERROR
from smart_audit.api.access.v1 import access_pb2
from smart_audit.api.errors.v1 import errors_pb2
from smart_audit.stack.contract import bindings, service_descriptors

Json = dict[str, Any]

INTRODUCTION = """\
The login and the audit trail of a product: `auth` decides who you are, `audit` proves what
happened. This describes the JSON API of the gateway; the same methods are offered over gRPC and
gRPC-Web at the same address.

**Tokens.** `POST /auth/login` answers with an `access_token`; send it as
`authorization: Bearer …`. A program exchanges its API key for one at `POST /oauth/token`. A token
names one organisation, and every call works on that one.

**JSON.** Names are in snake_case. Numbers of 64 bits are strings, bytes are base64, times are
RFC 3339 in UTC. An answer has all plain fields, with their zeros too; a field that is an object is
left out where there is none. A body's unknown fields are ignored, unknown query parameters are
refused.

**Refusals** have one shape, `Error`. Programs go by the `reason` of its `ErrorInfo`; the statuses
of each operation say which there are.

**Pages.** Where there is a `page_token`, send the `next_page_token` of the page before, and all
else unchanged, until it is empty.
"""


def build(comments: Comments) -> Json:
    """Describe every method that has an HTTP form, in the order of the protos."""
    methods = _methods()
    schemas = Schemas(
        comments,
        requests=[method.input_type for method in methods],
        answers=[*(method.output_type for method in methods), *MORE_ANSWERS],
    )
    operations = Operations(comments, schemas)
    paths: dict[str, Json] = {}
    for method in methods:
        for binding in bindings(method):
            path = paths.setdefault(openapi_path(binding), {})
            path[binding.verb.lower()] = operations.of(method, binding)
    for message in MORE_ANSWERS:
        schemas.answer(message)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Smart Audit", "version": "1", "description": INTRODUCTION},
        "servers": [{"url": "/"}],
        "tags": _tags(methods, comments),
        "x-tagGroups": _groups(methods),
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "headers": _HEADERS,
            "responses": _shared(operations),
            "schemas": dict(
                sorted({**schemas.components, **COMPONENTS, **_errors(schemas)}.items())
            ),
        },
    }


_SECURITY: Json = {
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The `access_token` of a login, or of `POST /oauth/token`.",
    },
    CLIENT: {
        "type": "http",
        "scheme": "basic",
        "description": "An API key: its prefix, or the service account's id, is the user name; the "
        "key is the password.",
    },
}
_HEADERS: Json = {
    "RequestId": {
        "description": "What finds the call in the logs; the client's own, if it sent one.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "In how many seconds it may work.",
        "schema": {"type": "integer"},
    },
}


def _methods() -> list[MethodDescriptor]:
    """Those that the gateway offers in JSON."""
    methods = [
        method
        for service in service_descriptors()
        for method in service.methods
        if bindings(method)
        and method.GetOptions().Extensions[access_pb2.access].WhichOneof("rule") != "internal"
    ]
    bodies = {method.full_name for method in methods if method.output_type.full_name == HTTP_BODY}
    if unknown := BODIES.keys() - bodies:
        raise SystemExit(f"protos/openapi/bodies.py tells of no such methods: {sorted(unknown)}")
    return methods


def _tags(methods: list[MethodDescriptor], comments: Comments) -> list[Json]:
    services = dict.fromkeys(method.containing_service for method in methods)
    return [
        {"name": service.name, "description": comments.of(service.full_name)}
        for service in services
    ]


def _groups(methods: list[MethodDescriptor]) -> list[Json]:
    """The two services, as ReDoc's menu shows them."""
    services = dict.fromkeys(method.containing_service for method in methods)
    return [
        {"name": package.split(".")[-2], "tags": [service.name for service in group]}
        for package, group in groupby(services, lambda service: service.file.package)
    ]


def _shared(operations: Operations) -> dict[str, Json]:
    return {name: operations.refusal(status, GENERAL[status]) for status, name in SHARED.items()}


def _errors(schemas: Schemas) -> dict[str, Json]:
    reasons = schemas.enum(errors_pb2.ErrorReason.DESCRIPTOR, REASON_PREFIX)
    return {"Error": ERROR, "ErrorReason": reasons, **DETAILS}
