"""Free JSON objects, between protobuf and plain values."""

import math
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from smart_audit.audit import domain
from smart_audit.core.errors import InvalidArgument

MAX_SAFE_INTEGER = 2**53 - 1


def to_object(struct: Struct, field: str) -> dict[str, Any]:
    """An object as plain values.

    field: what to call it in a refusal. Raises: InvalidArgument when too deep, or when a number is
    none.
    """
    return _struct(struct, 1, field)


def refused(field: str, what: str) -> InvalidArgument:
    """The refusal of an object."""
    return InvalidArgument(f"{field} {what}", fields={field: what})


def _struct(struct: Struct, depth: int, field: str) -> dict[str, Any]:
    if depth > domain.MAX_METADATA_DEPTH:
        raise refused(field, f"must be at most {domain.MAX_METADATA_DEPTH} levels deep")
    fields = struct.fields
    return {key: _value(fields[key], depth, field) for key in fields}


def _value(value: Value, depth: int, field: str) -> Any:
    """A value by hand: `MessageToDict` is several times slower."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return _number(value.number_value, field)
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _struct(value.struct_value, depth + 1, field)
        case "list_value":
            if depth >= domain.MAX_METADATA_DEPTH:
                raise refused(field, f"must be at most {domain.MAX_METADATA_DEPTH} levels deep")
            return [_value(item, depth + 1, field) for item in value.list_value.values]
        case _:
            return None


def _number(number: float, field: str) -> int | float:
    """A number of a Struct, which knows doubles alone; whole ones become integers again."""
    if not math.isfinite(number):
        raise refused(field, "must not hold infinite numbers")
    if number.is_integer() and abs(number) <= MAX_SAFE_INTEGER:
        return int(number)
    return number
