"""The JSON in a bundle, and what may be in it.

All JSON is canonical: one value has one spelling, so what is checked is what any other reader sees,
and a bundle written again from the same material has the same members.

Source: RFC 8785; docs/evidence.md.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

import orjson

from smart_audit.tlog.canonical import CanonicalJsonError, canonical_json

_MAX_SAFE_INTEGER: Final = 2**53 - 1
_LONG_NUMBER: Final = re.compile(rb"[0-9]{16}")
# Times of one width, UTC, so that they compare as text.
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")


class EvidenceError(ValueError):
    """Something in a bundle, or to be put into one, that does not hold. place: where."""

    def __init__(self, place: str, why: str) -> None:
        super().__init__(f"{place}: {why}")
        self.place = place
        self.why = why


def doubles(value: Any) -> Any:
    """The value with integers that no double holds exactly made doubles, as RFC 8785 has them."""
    match value:
        case dict():
            return {name: doubles(one) for name, one in value.items()}
        case list():
            return [doubles(one) for one in value]
        case int() if abs(value) > _MAX_SAFE_INTEGER:
            return float(value)
    return value


def line(value: Mapping[str, Any]) -> bytes:
    """Canonical JSON and a newline. Raises: CanonicalJsonError."""
    return canonical_json(value) + b"\n"


def read_line(data: bytes, place: str) -> dict[str, Any]:
    """The object in what `line` wrote. Raises: EvidenceError."""
    try:
        content = orjson.loads(data)
        if _LONG_NUMBER.search(data):
            content = doubles(content)
        is_canonical = line(content) == data
    except (ValueError, CanonicalJsonError) as error:
        raise EvidenceError(place, f"it is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise EvidenceError(place, "it is not a JSON object")
    if not is_canonical:
        raise EvidenceError(place, "it is not canonical JSON and a newline")
    return content


def base64(data: bytes) -> str:
    """Base64 with padding (RFC 4648, section 4)."""
    return b64encode(data).decode()


def unbase64(encoded: str, place: str) -> bytes:
    """The bytes in the one spelling that `base64` writes. Raises: EvidenceError."""
    try:
        data = b64decode(encoded, validate=True)
    except (Base64Error, ValueError) as error:
        raise EvidenceError(place, f"{encoded[:100]!r} is not base64") from error
    if base64(data) != encoded:
        raise EvidenceError(place, f"{encoded[:100]!r} is not canonical base64")
    return data


def is_number(value: object) -> bool:
    """Whether a JSON value is a whole number from 0. To Python, True and False are numbers too."""
    return type(value) is int and value >= 0


def are_texts(*values: object) -> bool:
    """Whether JSON values are all texts."""
    return all(isinstance(value, str) for value in values)


def is_time(value: object) -> TypeGuard[str]:
    """Whether a JSON value is a time in the form of the leaves."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None
