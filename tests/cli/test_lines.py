"""Records are read from files as they come."""

import gzip
import hashlib
import json

import pytest

from smart_audit.cli.imports.lines import Found, Unreadable, array, opened, records
from smart_audit.client.imports.cloudtrail import unpacked


def read(path, unpack=array):
    with opened(str(path)) as source:
        return list(records(source.lines, unpack))


@pytest.fixture
def file(tmp_path):
    def write(data):
        path = tmp_path / "records"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_are_read_plain_and_compressed_whatever_the_name(file, pack):
    assert read(file(pack(b'{"a":1}\n{"a":2}'))) == [
        Found("line 1", {"a": 1}),
        Found("line 2", {"a": 2}),
    ]


def test_empty_lines_are_passed_over_and_counted(file):
    assert read(file(b'\n  \r\n{"a":1}\r\n')) == [Found("line 3", {"a": 1})]
    assert read(file(b"")) == []


def test_a_byte_order_mark_is_passed_over(file):
    assert read(file(b'\xef\xbb\xbf{"a":1}\n')) == [Found("line 1", {"a": 1})]


def test_a_cloudtrail_file_is_one_line_of_many_records(file):
    line = json.dumps({"Records": [{"a": 1}, 2]}).encode()
    assert read(file(line), unpacked) == [
        Found("line 1, record 1", {"a": 1}),
        Found("line 1, record 2", 2),
    ]


def test_a_line_may_be_an_array_of_records(file):
    assert read(file(b'[{"a":1},2]\n[]\n[{"a":3}]')) == [
        Found("line 1, record 1", {"a": 1}),
        Found("line 1, record 2", 2),
        Found("line 3, record 1", {"a": 3}),
    ]


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"\xff",
        b"\x1f",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_a_line_that_is_no_json_is_named_and_the_next_is_read(file, line):
    bad, good = read(file(line + b"\n{}\n"))
    assert isinstance(bad, Unreadable)
    assert bad.place == "line 1"
    assert good == Found("line 2", {})


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_compressed_file_is_read_up_to_the_damage(file, damage):
    packed = bytearray(gzip.compress(b"".join(b'{"a":%d}\n' % n for n in range(100_000))))
    middle = len(packed) // 2
    if damage == "cut":
        del packed[middle:]
    else:
        packed[middle : middle + 64] = b"\xff" * 64
    *good, last = read(file(bytes(packed)))
    assert isinstance(last, Unreadable)
    assert "damaged" in last.why
    assert good[0] == Found("line 1", {"a": 0})


def test_progress_counts_the_bytes_of_the_file_as_stored(file):
    packed = gzip.compress(b"{}\n" * 10)
    with opened(str(file(packed))) as source:
        assert source.size == len(packed)
        list(records(source.lines, array))
        assert source.position() == len(packed)


def ending(*lines, complete=True, **told):
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    return json.dumps({"end": {"complete": complete, "sha256": digest, **told}}).encode() + b"\n"


ONE, TWO = b'{"a":1}\n', b'{"a":2}\n'


def test_the_last_line_of_an_export_is_no_record(file):
    assert read(file(ONE + TWO + ending(ONE, TWO))) == [
        Found("line 1", {"a": 1}),
        Found("line 2", {"a": 2}),
    ]
    assert read(file(ending())) == []
    assert read(file(b'{"end":{"sha256":"x"}}')) == [Found("line 1", {"end": {"sha256": "x"}})]


def test_an_export_that_lacks_a_line_is_found_out(file):
    *_, fault = read(file(TWO + ending(ONE, TWO)))
    assert fault == Unreadable(
        "line 2", "the lines in front are not those of the export: their SHA-256 differs"
    )


def test_an_export_that_broke_off_is_told_unless_it_goes_on(file):
    broken = ONE + ending(ONE, complete=False, reason="UNAVAILABLE")
    *_, fault = read(file(broken))
    assert fault.why == "the export broke off here: UNAVAILABLE"
    assert read(file(broken + TWO + ending(TWO))) == [
        Found("line 1", {"a": 1}),
        Found("line 3", {"a": 2}),
    ]
