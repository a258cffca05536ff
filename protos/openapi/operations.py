"""One HTTP form of one method as an operation of OpenAPI."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from protos.openapi.bodies import BEARER, BODIES, HTTP_BODY, JSON, Body
from protos.openapi.comments import Comments
from protos.openapi.examples import EXAMPLES
from protos.openapi.refusals import GENERAL, reasons_of
from protos.openapi.schemas import Schemas, is_needed
from protos.openapi.well_known import SCHEMAS, component
from smart_audit.api.access.v1 import access_pb2
from smart_audit.stack.contract import Binding, bindings

Json = dict[str, Any]

REASON_PREFIX = "ERROR_REASON_"
ERROR_REASON = "smart_audit.api.errors.v1.ErrorReason"
# Written once, where an operation has no reasons of its own for the status.
SHARED = {
    HTTPStatus.UNAUTHORIZED: "Unauthenticated",
    HTTPStatus.REQUEST_TIMEOUT: "RequestTimeout",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestTooLarge",
    HTTPStatus.TOO_MANY_REQUESTS: "TooManyRequests",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "HeadersTooLarge",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Internal",
    HTTPStatus.BAD_GATEWAY: "BadGateway",
    HTTPStatus.SERVICE_UNAVAILABLE: "Unavailable",
    HTTPStatus.GATEWAY_TIMEOUT: "Timeout",
}

_VARIABLE = re.compile(r"\{([a-z0-9_]+)(=[^}]*)?\}")
_BESIDES = {
    "person": "Only a person may call, no service account.",
    "recent": "The person must have authenticated within the last minutes, and must not be "
    "impersonated.",
    "own_name": "Whoever impersonates is refused.",
}


class Operations:
    """Makes operations."""

    def __init__(self, comments: Comments, schemas: Schemas) -> None:
        self._comments = comments
        self._schemas = schemas

    def of(self, method: MethodDescriptor, binding: Binding) -> Json:
        """The operation."""
        body = _body_of(method)
        summary, rest = self._comments.parts_of(method.full_name)
        request = self._request(method, binding, body)
        access = method.GetOptions().Extensions[access_pb2.access]
        parameters = [*self._parameters(method, binding), *_headers_sent(body)]
        return {
            "tags": [method.containing_service.name],
            "operationId": _operation_id(method, binding),
            "summary": summary,
            "description": "\n\n".join(
                filter(None, (rest, _who(access), _same_as(method, binding)))
            ),
            **({"deprecated": True} if method.GetOptions().deprecated else {}),
            **({"parameters": parameters} if parameters else {}),
            **({"requestBody": request} if request else {}),
            "responses": {
                "200": self._answer(method, body),
                **self._refusals(method, body, has_body=request is not None),
            },
            "security": _security(access, body),
        }

    def _parameters(self, method: MethodDescriptor, binding: Binding) -> Iterator[Json]:
        in_path = path_fields(binding)
        for field in method.input_type.fields:
            if field.name in in_path:
                yield self._parameter(field, "path", required=True)
            elif binding.body not in ("*", field.name):
                yield self._parameter(field, "query", required=is_needed(field))

    def _parameter(self, field: FieldDescriptor, place: str, *, required: bool) -> Json:
        if field.message_type is not None and field.message_type.full_name not in SCHEMAS:
            raise SystemExit(f"{field.full_name}: a message cannot be a parameter")
        schema = self._schemas.field(field, is_request=True)
        return {
            "name": field.name,
            "in": place,
            "description": schema.pop("description"),
            **({"required": True} if required else {}),
            "schema": schema,
        }

    def _request(
        self, method: MethodDescriptor, binding: Binding, body: Body | None
    ) -> Json | None:
        if not binding.body:
            return None
        if body is not None and body.form is not None:
            form = "application/x-www-form-urlencoded"
            return {"required": True, "content": {form: {"schema": body.form}}}
        in_path = path_fields(binding)
        if binding.body == "*":
            required = any(map(is_needed, _rest(method, in_path)))
            schema = self._schemas.body(method.input_type, without=in_path)
        else:
            field = method.input_type.fields_by_name[binding.body]
            required = is_needed(field)
            schema = self._schemas.field(field, is_request=True)
        content: Json = {"schema": schema}
        if example := EXAMPLES.get(method.full_name):
            content["example"] = example
        return {"required": required, "content": {JSON: content}}

    def _answer(self, method: MethodDescriptor, body: Body | None) -> Json:
        headers: Json = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
        if body is None:
            content = {JSON: {"schema": self._schemas.answer(method.output_type)}}
            said = self._said(method)
        else:
            content = {media: {"schema": schema} for media, schema in body.answer.items()}
            said = "The answer."
            headers |= {
                name: {"description": what, "schema": {"type": "string"}}
                for name, what in body.headers.items()
            }
        return {"description": said, "headers": headers, "content": content}

    def _said(self, method: MethodDescriptor) -> str:
        if not method.output_type.full_name.startswith("smart_audit."):
            return "The answer."
        return self._comments.of(method.output_type.full_name)

    def _refusals(
        self, method: MethodDescriptor, body: Body | None, *, has_body: bool
    ) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for status, reasons in reasons_of(method, self._comments, has_body=has_body).items():
            if status in SHARED and reasons == GENERAL[status]:
                found[str(status.value)] = {"$ref": f"#/components/responses/{SHARED[status]}"}
            else:
                oauth = body is not None and body.is_oauth
                found[str(status.value)] = self.refusal(status, reasons, oauth=oauth)
        return found

    def refusal(self, status: HTTPStatus, reasons: list[str], *, oauth: bool = False) -> Json:
        """A response that refuses, and why it may."""
        schema = component("Error")
        if oauth and status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
            schema = {"anyOf": [component("OAuthError"), schema]}
        headers: Json = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["retry-after"] = {"$ref": "#/components/headers/RetryAfter"}
        why = "\n".join(f"- `{reason}`: {self._meaning(reason)}" for reason in reasons)
        return {
            "description": why,
            "headers": headers,
            "content": {JSON: {"schema": schema}},
            "x-reasons": reasons,
        }

    def _meaning(self, reason: str) -> str:
        return self._comments.of(f"{ERROR_REASON}.{REASON_PREFIX}{reason}")


def openapi_path(binding: Binding) -> str:
    """A path template as OpenAPI writes it."""
    return _VARIABLE.sub(r"{\1}", binding.path)


def path_fields(binding: Binding) -> list[str]:
    """The fields that the path has."""
    return [match[1] for match in _VARIABLE.finditer(binding.path)]


def _rest(method: MethodDescriptor, in_path: list[str]) -> Iterator[FieldDescriptor]:
    return (field for field in method.input_type.fields if field.name not in in_path)


def _body_of(method: MethodDescriptor) -> Body | None:
    if method.output_type.full_name != HTTP_BODY:
        return None
    if method.full_name not in BODIES:
        raise SystemExit(f"{method.full_name}: protos/openapi/bodies.py does not say what it gives")
    return BODIES[method.full_name]


def _headers_sent(body: Body | None) -> Iterator[Json]:
    for name, what in (body.sent if body else {}).items():
        yield {"name": name, "in": "header", "description": what, "schema": {"type": "string"}}


def _operation_id(method: MethodDescriptor, binding: Binding) -> str:
    """The method's name; another form of it is told apart by its verb, or else by its path."""
    main = bindings(method)[0]
    if binding == main:
        return method.name
    if binding.verb != main.verb:
        return f"{method.name}By{binding.verb.capitalize()}"
    words = re.split("[^A-Za-z0-9]+", binding.path)
    return f"{method.name}At{''.join(word[:1].upper() + word[1:] for word in words)}"


def _same_as(method: MethodDescriptor, binding: Binding) -> str:
    main = bindings(method)[0]
    return "" if binding == main else f"The same as `{main.verb} {main.path}`."


def _who(access: access_pb2.Access) -> str:
    sentences = [f"Needs the permission `{access.scope}`."] if access.scope else []
    sentences += [text for name, text in _BESIDES.items() if getattr(access, name)]
    return " ".join(sentences)


def _security(access: access_pb2.Access, body: Body | None) -> list[Json]:
    """An empty one stands for a call without a token."""
    if body is not None and body.is_oauth:
        return [*({scheme: []} for scheme in body.clients), {}]
    match access.WhichOneof("rule"):
        case "public":
            return []
        case "optional":
            return [{BEARER: []}, {}]
        case _:
            return [{BEARER: [access.scope] if access.scope else []}]
