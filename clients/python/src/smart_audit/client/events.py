"""Building events out of plain Python values."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

# The limits of the contract, in characters.
MAX_ACTION: Final = 200
MAX_ACTOR_ID: Final = 256
MAX_ACTOR_TYPE: Final = 64
MAX_ACTOR_NAME: Final = 256
MAX_EMAIL: Final = 254
MAX_TARGETS: Final = 64
MAX_TARGET_ID: Final = 512
MAX_TARGET_TYPE: Final = 128
MAX_TARGET_NAME: Final = 256
MAX_OUTCOME_REASON: Final = 200
MAX_SOURCE: Final = 128
MAX_SOURCE_ADDRESS: Final = 256
MAX_USER_AGENT: Final = 2048

MAX_METADATA_DEPTH: Final = 32
_MAX_SAFE_INTEGER: Final = 2**53 - 1


def timestamp(time: datetime) -> Timestamp:
    """A time with a zone, to the microsecond."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def struct(values: Mapping[str, Any], depth: int = 1) -> Struct:
    """A JSON object as metadata, without loss.

    - an integer beyond ±(2**53 - 1) becomes text, since a Struct knows doubles alone;
    - what lies deeper than 32 levels becomes its JSON text, since the service takes no more.

    Raises: TypeError for a value that is not JSON; ValueError for text that has no UTF-8.
    """
    message = Struct()
    for name, value in values.items():
        message.fields[name].CopyFrom(_value(value, depth))
    return message


def _value(value: Any, depth: int) -> Value:  # noqa: PLR0911  (one per kind of JSON value)
    match value:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case int() if abs(value) > _MAX_SAFE_INTEGER:
            return Value(string_value=str(value))
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case dict() | list() if depth >= MAX_METADATA_DEPTH:
            return Value(string_value=json.dumps(value, ensure_ascii=False))
        case dict():
            return Value(struct_value=struct(value, depth + 1))
        case list():
            return Value(list_value=ListValue(values=[_value(item, depth + 1) for item in value]))
    raise TypeError(f"{type(value).__name__} is not JSON")
