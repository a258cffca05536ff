"""What is in a `google.api.HttpBody`: forms that are sent, and answers that are files or streams.

The protos say that there is a body; their comments say which. Here it stands for programs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.descriptor import Descriptor

from protos.openapi.well_known import component
from smart_audit.api.audit.v1 import exports_pb2, tail_pb2

Json = dict[str, Any]

BEARER = "bearer"
CLIENT = "client"
HTTP_BODY = "google.api.HttpBody"
JSON = "application/json"

_TEXT: Json = {"type": "string"}
_FILE: Json = {"type": "string", "format": "binary"}
_SECONDS: Json = {"type": "integer", "description": "In seconds since 1970."}
# Each line, or the data of each server-sent event, is one of these.
_LINES: Json = {"type": "string", "x-item-schema": component("TailLine")}
_EVENTS: Mapping[str, Json] = {
    "application/x-ndjson": _TEXT,
    "text/csv": _TEXT,
    "text/plain": _TEXT,
    "application/vnd.apache.parquet": _FILE,
}
_FILE_HEADERS: Mapping[str, str] = {"content-disposition": "A name for the file."}
_CACHE: Mapping[str, str] = {"cache-control": "Who may keep the file, and for how long."}

# Used in streams and in `Any`, where no method's own types lead to them.
MORE_ANSWERS: tuple[Descriptor, ...] = (
    tail_pb2.TailLine.DESCRIPTOR,
    exports_pb2.ExportProgress.DESCRIPTOR,
    exports_pb2.ExportFile.DESCRIPTOR,
)


@dataclass(frozen=True, slots=True)
class Body:
    """What a method takes and gives, where the proto has a body.

    answer: schemas by media type. headers: of the answer, and what they are; sent: of the request.
    form: the schema of the request's form. clients: how a client of OAuth may authenticate outside
    of its form; of those methods, refusals have the form of RFC 6749.
    """

    answer: Mapping[str, Json]
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)
    form: Json | None = None
    clients: tuple[str, ...] = ()

    @property
    def is_oauth(self) -> bool:
        """Whether it is one of OAuth's endpoints."""
        return bool(self.clients)


def _form(required: tuple[str, ...], **properties: str) -> Json:
    more = {
        "client_id": "The service account's id, or the API key's prefix; unless HTTP Basic has it.",
        "client_secret": "The API key; unless HTTP Basic has it.",
    }
    return {
        "type": "object",
        "required": list(required),
        "properties": {
            name: {**_TEXT, "description": description}
            for name, description in {**properties, **more}.items()
        },
    }


_GRANT: Json = {"enum": ["client_credentials", "refresh_token"]}
_TOKEN_FORM = _form(
    ("grant_type",),
    grant_type="What is exchanged.",
    scope="Separated by spaces; all that the service account has, when left out.",
    refresh_token="With `grant_type=refresh_token`.",  # noqa: S106
)
_TOKEN_FORM["properties"]["grant_type"] |= _GRANT
_LOOK_FORM = _form(("token",), token="The token, of either kind.")  # noqa: S106

_ISSUED: Json = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in"],
    "properties": {
        "access_token": {**_TEXT, "description": "A signed JWT (EdDSA)."},
        "token_type": {"const": "Bearer"},
        "expires_in": {"type": "integer", "description": "In seconds."},
        "scope": {**_TEXT, "description": "For an API key: what the token permits."},
        "refresh_token": {**_TEXT, "description": "For a refresh token: its successor."},
    },
}
_LOOKED_AT: Json = {
    "type": "object",
    "description": "All but `active` only of a token that is.",
    "required": ["active"],
    "properties": {
        "active": {"type": "boolean"},
        "token_type": _TEXT,
        "iss": _TEXT,
        "aud": _TEXT,
        "sub": _TEXT,
        "org": {**_TEXT, "description": "The organisation that the token is for."},
        "sid": {**_TEXT, "description": "The session that it belongs to."},
        "scope": _TEXT,
        "client_id": _TEXT,
        "jti": _TEXT,
        "iat": _SECONDS,
        "exp": _SECONDS,
        "auth_time": _SECONDS,
        "amr": {"type": "array", "items": _TEXT},
        "act": {
            "type": "object",
            "description": "Who acts, in an impersonation.",
            "required": ["sub"],
            "properties": {"sub": _TEXT},
        },
    },
}

_REFUSED: Json = {
    "type": "object",
    "description": "How OAuth's endpoints refuse (RFC 6749, section 5.2).",
    "required": ["error", "error_description"],
    "properties": {
        "error": {
            "type": "string",
            "enum": [
                "invalid_client",
                "invalid_grant",
                "invalid_request",
                "invalid_scope",
                "invalid_token",
                "unsupported_grant_type",
            ],
        },
        "error_description": _TEXT,
    },
}

COMPONENTS: dict[str, Json] = {
    "OAuthError": _REFUSED,
    "OAuthToken": _ISSUED,
    "OAuthIntrospection": _LOOKED_AT,
}

_AUTH = "smart_audit.api.auth.v1"
_AUDIT = "smart_audit.api.audit.v1"

BODIES: Mapping[str, Body] = {
    f"{_AUTH}.OAuthService.Token": Body(
        {JSON: component("OAuthToken")}, form=_TOKEN_FORM, clients=(CLIENT,)
    ),
    f"{_AUTH}.OAuthService.Introspect": Body(
        {JSON: _LOOKED_AT}, form=_LOOK_FORM, clients=(CLIENT, BEARER)
    ),
    f"{_AUTH}.OAuthService.Revoke": Body(
        {JSON: {"type": "object"}}, form=_LOOK_FORM, clients=(CLIENT, BEARER)
    ),
    f"{_AUTH}.AccountService.GetAccountPage": Body({"text/html": _TEXT}),
    f"{_AUDIT}.EventService.GetEventProof": Body({"text/plain": _TEXT}),
    f"{_AUDIT}.TailService.TailEventsAsLines": Body({"application/x-ndjson": _LINES}),
    f"{_AUDIT}.TailService.TailEventsAsServerSentEvents": Body(
        {"text/event-stream": _LINES},
        sent={"last-event-id": "Stands for `cursor`; EventSource sends it when it resumes."},
    ),
    f"{_AUDIT}.ExportService.ExportEvents": Body(
        _EVENTS, {**_FILE_HEADERS, "export-cursor": "What goes on with an answer that was cut off."}
    ),
    f"{_AUDIT}.ExportService.DownloadExport": Body(_EVENTS, _FILE_HEADERS),
    f"{_AUDIT}.TileService.GetLogCheckpoint": Body({"text/plain": _TEXT}, _CACHE),
    f"{_AUDIT}.TileService.GetTile": Body({"application/octet-stream": _FILE}, _CACHE),
    f"{_AUDIT}.TileService.GetLogKey": Body({"text/plain": _TEXT}, _CACHE),
}
