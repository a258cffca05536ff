"""Validation rules of fields (`buf.validate`) as keywords of JSON Schema."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import protovalidate
from buf.validate import validate_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor

Json = dict[str, Any]
Keywords = Mapping[str, Callable[[Any], Json]]

_FIELD = validate_pb2.DESCRIPTOR.extensions_by_name["field"]
_ONEOF = validate_pb2.DESCRIPTOR.extensions_by_name["oneof"]
# `\P{Cc}` is no syntax of every engine; these are the characters of that class.
_CONTROLS = (r"\P{Cc}", r"[^\u0000-\u001f\u007f-\u009f]")


def _pattern(pattern: str) -> Json:
    return {"pattern": pattern.replace(*_CONTROLS).replace(r"\x00", r"\u0000")}


def _base64(length: int) -> Json:
    """The length in base64, whether it is padded or not."""
    unpadded = -(-length * 4 // 3)
    return {"minLength": unpadded, "maxLength": -(-length // 3) * 4}


_NUMBER: Keywords = {
    "gte": lambda limit: {"minimum": limit},
    "gt": lambda limit: {"exclusiveMinimum": limit},
    "lte": lambda limit: {"maximum": limit},
    "lt": lambda limit: {"exclusiveMaximum": limit},
}
# What is text in JSON has no minimum; of the limits of numbers there is this one alone.
_LONG: Keywords = {
    "gte": lambda limit: {"pattern": "^[0-9]{1,19}$"} if limit == 0 else {},
}
# What no keyword says is said by the comments.
_NOTHING: Keywords = dict.fromkeys(("gte", "lte", "gt", "lt", "gt_now"), lambda _: {})

_KEYWORDS: Mapping[str, Keywords] = {
    "string": {
        "min_len": lambda limit: {"minLength": limit},
        "max_len": lambda limit: {"maxLength": limit},
        "pattern": _pattern,
        "uuid": lambda _: {"format": "uuid"},
        "email": lambda _: {"format": "email"},
        "in": lambda names: {"enum": list(names)},
    },
    "bytes": {"len": _base64},
    "int32": _NUMBER,
    "int64": _LONG,
    "timestamp": _NOTHING,
    "duration": _NOTHING,
    "enum": {
        "defined_only": lambda _: {},
        # 0 is the one that stands for nothing.
        "not_in": lambda _: {},
    },
    "repeated": {
        "min_items": lambda limit: {"minItems": limit},
        "max_items": lambda limit: {"maxItems": limit},
        "unique": lambda _: {"uniqueItems": True},
        "items": lambda _: {},
    },
}


def keywords(field: FieldDescriptor) -> Json:
    """What the rules of a field say of its value; of a list, of the list."""
    return _keywords(_extension(field, _FIELD), field)


def item_keywords(field: FieldDescriptor) -> Json:
    """What the rules of a list say of each item."""
    rules = _extension(field, _FIELD)
    if not rules.HasField("repeated") or not rules.repeated.HasField("items"):
        return {}
    return _keywords(rules.repeated.items, field)


def forbidden_values(field: FieldDescriptor) -> list[str]:
    """The names of an enum's values that are refused."""
    rules = _extension(field, _FIELD)
    names = field.enum_type.values_by_number if field.enum_type else {}
    return [names[number].name for number in rules.enum.not_in]


@cache
def needed(message: Descriptor) -> frozenset[str]:
    """The fields that must be sent: the validator itself says which are wrong when none is."""
    empty = message_factory.GetMessageClass(message)()
    wrong = set()
    for violation in protovalidate.collect_violations(empty):
        path = violation.proto.field
        if path and path.elements:
            wrong.add(path.elements[0].field_name)
    return frozenset(wrong & set(message.fields_by_name))


def _extension(of: FieldDescriptor | OneofDescriptor, extension: FieldDescriptor) -> Any:
    """The rules that stand at a field or a oneof; the stubs of protobuf do not know how."""
    options: Any = of.GetOptions()
    return options.Extensions[extension]


def _keywords(rules: Any, field: FieldDescriptor) -> Json:
    kind = rules.WhichOneof("type")
    if kind is None:
        return {}
    found: Json = {}
    for rule, value in getattr(rules, kind).ListFields():
        try:
            found |= _KEYWORDS[kind][rule.name](value)
        except KeyError:
            raise SystemExit(
                f"{field.full_name}: protos/openapi/rules.py does not know {kind}.{rule.name}"
            ) from None
    return found


def is_oneof_required(oneof: OneofDescriptor) -> bool:
    """Whether one of the fields must be sent."""
    required: bool = _extension(oneof, _ONEOF).required
    return required
