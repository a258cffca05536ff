"""Messages and enums as schemas: what a request may be, and what an answer is.

The two differ. Of a request the rules are checked, and little must be sent. An answer has no rules,
and has every field that is not of a kind that can be absent: the gateway prints zeros too. So a
message that is used both ways has two schemas, and that of requests is named `…Input`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, OneofDescriptor

from protos.openapi import rules
from protos.openapi.comments import Comments
from protos.openapi.well_known import BYTES, INT64, SCHEMAS, component, linked

Json = dict[str, Any]

_EXAMPLE = re.compile(r'e\.g\. "([^"]+)"')
_SCALARS: dict[int, Json] = {
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: INT64,
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
}


class Schemas:
    """Makes schemas, and keeps those that others refer to."""

    def __init__(
        self, comments: Comments, requests: Iterable[Descriptor], answers: Iterable[Descriptor]
    ) -> None:
        self._comments = comments
        asked, answered = set(_reachable(requests)), set(_reachable(answers))
        self._both = asked & answered
        self.components: dict[str, Json] = {}

    def answer(self, message: Descriptor) -> Json:
        """The schema of a message in an answer."""
        return self._message(message, is_request=False)

    def body(self, message: Descriptor, without: Iterable[str] = ()) -> Json:
        """The schema of a message as a request's body, but for fields that the path has."""
        return self._message(message, is_request=True, without=frozenset(without))

    def field(self, field: FieldDescriptor, *, is_request: bool) -> Json:
        """The schema of a field, with what its comment says."""
        said = self._comments.of(field.full_name)
        schema = {**self._value(field, is_request=is_request), "description": said}
        if schema.get("type") == "string" and (examples := _EXAMPLE.findall(said)):
            schema["examples"] = examples
        return schema

    def _message(
        self, message: Descriptor, *, is_request: bool, without: frozenset[str] = frozenset()
    ) -> Json:
        if message.full_name in SCHEMAS:
            return SCHEMAS[message.full_name]
        if known := linked(message.full_name):
            name, schema = known
            self.components[name] = schema
            return component(name)
        both = is_request and message in self._both
        name = f"{message.name}Input" if both else message.name
        if name not in self.components:
            # Its place is kept first, for a message that holds itself.
            self.components[name] = {}
            self.components[name] = self._object(message, without, is_request=is_request)
        return component(name)

    def _object(self, message: Descriptor, without: frozenset[str], *, is_request: bool) -> Json:
        fields = [
            field
            for field in message.fields
            if field.name not in without and not (is_request and is_output_only(field))
        ]
        must = rules.needed(message) if is_request else {f.name for f in fields if _is_printed(f)}
        required = [field.name for field in fields if field.name in must]
        oneofs = [_one_of(oneof) for oneof in _real_oneofs(message)]
        return {
            "type": "object",
            "description": self._comments.of(message.full_name),
            **({"required": required} if required else {}),
            "properties": {
                field.name: self.field(field, is_request=is_request) for field in fields
            },
            **({"allOf": oneofs} if len(oneofs) > 1 else oneofs[0] if oneofs else {}),
        }

    def _value(self, field: FieldDescriptor, *, is_request: bool) -> Json:
        own = rules.keywords(field) if is_request else {}
        if not field.is_repeated:
            return {**self._single(field, is_request=is_request), **own}
        items = self._single(field, is_request=is_request)
        if is_request:
            items = {**items, **rules.item_keywords(field)}
        return {"type": "array", "items": items, **own}

    def _single(self, field: FieldDescriptor, *, is_request: bool) -> Json:
        if field.message_type is not None:
            return self._message(field.message_type, is_request=is_request)
        if field.enum_type is None:
            return _SCALARS[field.type]
        forbidden = rules.forbidden_values(field) if is_request else []
        return {
            **self._enum(field.enum_type),
            **({"not": {"enum": forbidden}} if forbidden else {}),
        }

    def _enum(self, enum: EnumDescriptor) -> Json:
        self.components.setdefault(enum.name, self.enum(enum))
        return component(enum.name)

    def enum(self, enum: EnumDescriptor, prefix: str = "") -> Json:
        """The names of an enum and what each means."""
        values = {
            value.name.removeprefix(prefix): self._comments.of(f"{enum.full_name}.{value.name}")
            for value in enum.values
        }
        meanings = "\n".join(f"- `{name}`: {meaning}" for name, meaning in values.items())
        return {
            "type": "string",
            "description": f"{self._comments.of(enum.full_name)}\n\n{meanings}",
            "enum": list(values),
        }


def is_needed(field: FieldDescriptor) -> bool:
    """Whether a request must have the field."""
    return field.name in rules.needed(field.containing_type)


def _reachable(messages: Iterable[Descriptor]) -> Iterator[Descriptor]:
    """The messages themselves and all that are in them."""
    pending, seen = list(messages), set()
    while pending:
        message = pending.pop()
        if message in seen or not message.full_name.startswith("smart_audit."):
            continue
        seen.add(message)
        yield message
        pending += [field.message_type for field in message.fields if field.message_type]


def is_output_only(field: FieldDescriptor) -> bool:
    """Whether only the service sets the field."""
    behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.OUTPUT_ONLY in behaviours


def _is_printed(field: FieldDescriptor) -> bool:
    """Whether an answer has the field in any case."""
    return field.is_repeated or not field.has_presence


def _real_oneofs(message: Descriptor) -> list[OneofDescriptor]:
    """Those of the proto; a field that is `optional` stands in one of its own, too."""
    return [
        oneof
        for oneof in message.oneofs
        if not (len(oneof.fields) == 1 and oneof.name == f"_{oneof.fields[0].name}")
    ]


def _one_of(oneof: OneofDescriptor) -> Json:
    """Exactly one of the fields, or at most one of them."""
    each: list[Json] = [{"required": [field.name]} for field in oneof.fields]
    if rules.is_oneof_required(oneof):
        return {"oneOf": each}
    return {"oneOf": [*each, {"not": {"anyOf": each}}]}
