"""Canonical JSON."""

import math
import struct
from datetime import UTC, datetime
from enum import Enum, IntEnum
from uuid import UUID

import orjson
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from smart_audit.tlog.canonical import CanonicalJsonError, canonical_json, format_number

MAX_INT = 2**53 - 1
slow = settings(deadline=None)
texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INT, MAX_INT) | numbers | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)


@slow
@given(value=values)
def test_any_value_is_written_as_an_independent_library_writes_it(value):
    assert canonical_json(value) == rfc8785.dumps(value)


@slow
@given(bits=st.integers(0, 2**64 - 1))
def test_any_double_is_written_as_an_independent_library_writes_it(bits):
    number = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
    if math.isfinite(number):
        assert canonical_json(number) == rfc8785.dumps(number)
    else:
        with pytest.raises(CanonicalJsonError):
            canonical_json(number)


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        # RFC 8785, appendix B.
        (0x0000000000000000, "0"),
        (0x8000000000000000, "0"),
        (0x0000000000000001, "5e-324"),
        (0x8000000000000001, "-5e-324"),
        (0x7FEFFFFFFFFFFFFF, "1.7976931348623157e+308"),
        (0x4340000000000000, "9007199254740992"),
        (0x4430000000000000, "295147905179352830000"),
        (0x44B52D02C7E14AF5, "9.999999999999997e+22"),
        (0x44B52D02C7E14AF6, "1e+23"),
        (0x44B52D02C7E14AF7, "1.0000000000000001e+23"),
        (0x444B1AE4D6E2EF4E, "999999999999999700000"),
        (0x444B1AE4D6E2EF4F, "999999999999999900000"),
        (0x444B1AE4D6E2EF50, "1e+21"),
        (0x3EB0C6F7A0B5ED8C, "9.999999999999997e-7"),
        (0x3EB0C6F7A0B5ED8D, "0.000001"),
        (0x41B3DE4355555553, "333333333.3333332"),
        (0x41B3DE4355555557, "333333333.33333343"),
        (0xBECBF647612F3696, "-0.0000033333333333333333"),
        (0x43143FF3C1CB0959, "1424953923781206.2"),
    ],
)
def test_doubles_of_the_specification(bits, text):
    assert format_number(struct.unpack("<d", bits.to_bytes(8, "little"))[0]) == text


def test_keys_are_sorted_by_utf16_units():
    # RFC 8785, section 3.2.3: the emoji's surrogates sort before U+FB33.
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = canonical_json(dict.fromkeys(keys, 0))
    assert list(orjson.loads(written)) == [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]


def test_strings_are_escaped_no_more_than_needed():
    assert canonical_json("\u20ac$\x0f\nA'B\"\\/\x7f\b\t\f\r") == (
        '"\u20ac$\\u000f\\nA\'B\\"\\\\/\x7f\\b\\t\\f\\r"'.encode()
    )


@pytest.mark.parametrize(
    "value",
    [
        {"when": "2025-01-01T12:34:56.789Z", "like": '":1.5', "n": None},
        [[[], {}], {"b": {"d": 1, "c": [True, None]}, "a": ""}],
        {"a": [{"b": [{"c": 1.0}]}]},
        {"ä": 1.5, "z": "\U0001f600"},
        [1.0, None],
    ],
)
def test_both_ways_of_writing_agree(value):
    assert canonical_json(value) == rfc8785.dumps(value)


def test_tuples_enums_and_uuids_have_one_form_whatever_stands_beside_them():
    class Colour(Enum):
        RED = "red"
        HALF = 0.5

    class Count(IntEnum):
        ONE = 1

    class Name(str):
        __slots__ = ()

    uuid = UUID(int=7)
    mixed = (Colour.RED, Count.ONE, uuid, Name("n"))
    plain: list[str | int] = ["red", 1, str(uuid), "n"]
    assert canonical_json(mixed) == rfc8785.dumps(plain)
    assert canonical_json([*mixed, 1.0]) == rfc8785.dumps([*plain, 1.0])
    assert canonical_json(Colour.HALF) == b"0.5"


@pytest.mark.parametrize(
    "value",
    [
        MAX_INT + 1,
        -MAX_INT - 1,
        [math.nan],
        {"a": math.inf},
        {"a": [-math.inf]},
        "\ud800",
        {"\udfff": 1},
        {1: 1},
        {None: 1},
        b"bytes",
        {1, 2},
        object(),
        datetime(2025, 1, 1, tzinfo=UTC),
    ],
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(CanonicalJsonError):
        canonical_json(value)


def test_the_largest_integers_are_kept():
    assert canonical_json([MAX_INT, -MAX_INT]) == b"[9007199254740991,-9007199254740991]"
