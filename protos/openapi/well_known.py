"""How JSON writes Google's types, by their full names (protobuf.dev, "ProtoJSON Format")."""

from typing import Any

Json = dict[str, Any]

INT64: Json = {
    "type": "string",
    "format": "int64",
    "pattern": "^-?[0-9]{1,19}$",
}
"""A number of 64 bits: as text, because a number of JavaScript could not hold it."""

BYTES: Json = {"type": "string", "contentEncoding": "base64"}

SCHEMAS: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$",
        "examples": ["3600s"],
    },
    "google.protobuf.FieldMask": {"type": "string", "examples": ["name,policy.retention_days"]},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Value": {},
    "google.protobuf.Empty": {"type": "object"},
}


def packed(full_name: str, schema: Json) -> Json:
    """A message in a `google.protobuf.Any`: beside its own fields it names its type."""
    kind = {"const": f"type.googleapis.com/{full_name}"}
    return {
        "allOf": [schema, {"type": "object", "required": ["@type"], "properties": {"@type": kind}}]
    }


def component(name: str) -> Json:
    """A reference to a schema among the components."""
    return {"$ref": f"#/components/schemas/{name}"}


OPERATION: Json = {
    "type": "object",
    "description": "Work that goes on beside the calls (AIP-151): an export.",
    "required": ["name", "done"],
    "properties": {
        "name": {
            "type": "string",
            "pattern": "^operations/",
            "description": '"operations/" and the operation\'s id.',
        },
        "done": {"type": "boolean", "description": "Whether it has ended, one way or another."},
        "metadata": {
            **packed("smart_audit.api.audit.v1.ExportProgress", component("ExportProgress")),
            "description": "How far it has come.",
        },
        "response": {
            **packed("smart_audit.api.audit.v1.ExportFile", component("ExportFile")),
            "description": "The file; once it has ended well.",
        },
        "error": {**component("Error"), "description": "Why it has failed."},
    },
}

_LINKED: dict[str, tuple[str, Json]] = {
    "google.longrunning.Operation": ("Operation", OPERATION),
}


def linked(full_name: str) -> tuple[str, Json] | None:
    """The name and the schema of a type of Google's that is a component of its own."""
    return _LINKED.get(full_name)


def _detail(name: str, description: str, **properties: Json) -> Json:
    return {
        "type": "object",
        "title": name,
        "description": description,
        "required": ["@type", *properties],
        "properties": {"@type": {"const": f"type.googleapis.com/google.rpc.{name}"}, **properties},
    }


_TEXT: Json = {"type": "string"}

ERROR: Json = {
    "type": "object",
    "description": "How every call is refused (`google.rpc.Status`, AIP-193).",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "description": "Of `google.rpc.Code`."},
        "message": {"type": "string", "description": "What is wrong and how to mend it."},
        "details": {
            "type": "array",
            "description": "One `ErrorInfo`, and more where there is more to say.",
            "items": {
                "anyOf": [
                    component(name)
                    for name in ("ErrorInfo", "RequestInfo", "BadRequest", "RetryInfo")
                ]
            },
        },
    },
}

DETAILS: dict[str, Json] = {
    "ErrorInfo": _detail(
        "ErrorInfo",
        "The reason, for programs.",
        reason=component("ErrorReason"),
        domain={"const": "smart-audit"},
        metadata={
            "type": "object",
            "additionalProperties": _TEXT,
            "description": "Every dynamic value of the message.",
        },
    ),
    "RequestInfo": _detail(
        "RequestInfo",
        "What finds the call in the logs.",
        request_id={**_TEXT, "description": "As in the header `x-request-id`."},
    ),
    "BadRequest": _detail(
        "BadRequest",
        "What is wrong with which fields.",
        field_violations={
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "description", "reason"],
                "properties": {
                    "field": {**_TEXT, "description": 'The field\'s path, e.g. "targets[0].id".'},
                    "description": {**_TEXT, "description": "What is wrong with it."},
                    "reason": {**_TEXT, "description": "Of `ErrorReason`, or empty."},
                },
            },
        },
    ),
    "RetryInfo": _detail(
        "RetryInfo",
        "When it may work.",
        retry_delay=SCHEMAS["google.protobuf.Duration"],
    ),
}
