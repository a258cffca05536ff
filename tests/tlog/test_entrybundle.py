"""Entry bundles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_audit.tlog.entrybundle import BundleError, pack, unpack


def test_an_entry_stands_below_its_length():
    assert pack([b"abc", b"", b"d"]) == b"\x00\x03abc\x00\x00\x00\x01d"


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_reads_back(entries):
    assert unpack(pack(entries)) == entries
    assert unpack(pack(entries), len(entries)) == entries


def test_a_full_bundle_of_the_largest_entries_reads_back():
    entries = [bytes([number]) * 65_535 for number in range(256)]
    assert unpack(pack(entries), 256) == entries


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65_536]])
def test_entries_that_fit_no_bundle_are_refused(entries):
    with pytest.raises(BundleError):
        pack(entries)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty bundle"),
        (b"\x00", "within entry 0"),
        (b"\x00\x01", "within entry 0"),
        (b"\x00\x01a\x00\x02b", "within entry 1"),
        (b"\x00\x01a\x00", "within entry 1"),
        (b"\x00\x00" * 257, "at most 256"),
    ],
)
def test_what_is_not_a_bundle_is_refused(data, message):
    with pytest.raises(BundleError, match=message):
        unpack(data)


def test_another_number_of_entries_than_expected_is_refused():
    with pytest.raises(BundleError, match="has 2 entries, not 3"):
        unpack(pack([b"a", b"b"]), 3)
