"""Canonical JSON: one value, one sequence of bytes.

orjson writes almost exactly this form, at ten times the speed of Python. It departs in three
places; values which may touch one take the slow way:

- floats: ECMAScript writes 1.0 as 1 and 1e16 as 10000000000000000;
- NaN and the infinities: orjson writes null, RFC 8785 refuses them;
- keys: orjson sorts by code points, RFC 8785 by UTF-16 units. The orders differ only where a
  character above U+FFFF is involved.

Source: RFC 8785; ECMA-262, Number::toString, for floats.
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from math import isfinite
from typing import Any, Final

import orjson

# Integers beyond 2**53 - 1 have no exact double and are refused; datetimes and dataclasses are
# refused too, since their form would be orjson's choice rather than the caller's.
_OPTIONS: Final = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
)

_ASTRAL: Final = re.compile(rb"[\xf0-\xf4]")  # how UTF-8 begins a character above U+FFFF

# What may be a float, or stand for one that is no number: it begins where a value may, which now
# and then is inside a text, too. To look for it takes a tenth of looking at each value.
_FLOAT: Final = re.compile(rb'(?:\A|":|[\[,])(?:-?[0-9]+[.e]|null)')

# The places before the decimal point up to which ECMAScript writes a number without exponent.
_MAX_PLAIN_POINT: Final = 21
_MIN_PLAIN_POINT: Final = -6


class CanonicalJsonError(ValueError):
    """A value that has no canonical JSON; the message says why."""


def canonical_json(value: Any) -> bytes:
    """Encode as canonical JSON, UTF-8.

    value: str, int within ±(2**53 - 1), finite float, bool, None, and lists, tuples and
    str-keyed dicts of these; enum members count as their values, UUIDs as strings.

    Raises: CanonicalJsonError for anything else, and for lone surrogates.
    Source: RFC 8785, section 3.2.
    """
    try:
        fast = orjson.dumps(value, option=_OPTIONS)
    except orjson.JSONEncodeError as error:
        raise CanonicalJsonError(str(error)) from error
    if _FLOAT.search(fast) or (not fast.isascii() and _ASTRAL.search(fast)):
        return _encode(value)
    return fast


def _encode(value: Any) -> bytes:
    """Encode what orjson is known to accept, by the letter of RFC 8785."""
    if isinstance(value, Enum):
        return _encode(value.value)
    if isinstance(value, float):
        return format_number(value).encode()
    if isinstance(value, Mapping):
        keys = sorted(value, key=_utf16_units)
        members = (orjson.dumps(key) + b":" + _encode(value[key]) for key in keys)
        return b"{" + b",".join(members) + b"}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return b"[" + b",".join(map(_encode, value)) + b"]"
    return orjson.dumps(value)


def _utf16_units(key: str) -> bytes:
    # Big-endian bytes compare as the 16-bit units do.
    return key.encode("utf-16-be")


def format_number(number: float) -> str:
    """Write a double as ECMAScript does: the shortest digits that read back as the same number.

    Raises: CanonicalJsonError for NaN and the infinities.
    Source: RFC 8785, section 3.2.2.3; ECMA-262, Number::toString.
    """
    if not isfinite(number):
        raise CanonicalJsonError(f"{number} is not a JSON number")
    if number == 0:
        return "0"  # negative zero as well
    # repr gives the same shortest digits as ECMAScript; only their arrangement differs.
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(digits)
    digits = digits.rstrip("0")
    return ("-" if number < 0 else "") + _arrange(digits, point)


def _arrange(digits: str, point: int) -> str:
    """Write 0.digits times 10**point."""
    if len(digits) <= point <= _MAX_PLAIN_POINT:
        return digits.ljust(point, "0")
    if 0 < point <= _MAX_PLAIN_POINT:
        return f"{digits[:point]}.{digits[point:]}"
    if _MIN_PLAIN_POINT < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"
