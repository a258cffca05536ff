"""Messages of the API as rows: the JSON that the gateway gives for them."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def row(message: Message) -> dict[str, Any]:
    """A message as the API's JSON: names in snake_case, 64-bit integers as text."""
    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def rows(messages: Iterable[Message]) -> Iterator[dict[str, Any]]:
    """Messages, one after the other."""
    return map(row, messages)
