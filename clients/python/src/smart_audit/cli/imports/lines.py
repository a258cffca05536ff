"""Reading JSON lines, plain or compressed."""

import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import BadGzipFile, GzipFile
from io import BufferedIOBase
from typing import Any, Final, NoReturn

from smart_audit.cli.imports.endings import Endings, ending_of

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Found:
    """A record and its place, e.g. "line 7" or "line 1, record 3"."""

    place: str
    value: Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is no JSON."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Input:
    """An opened file.

    lines: as bytes. size: bytes of the file as it is stored, or None when it is a stream.
    position: how many of them were read so far.
    """

    lines: BufferedIOBase
    size: int | None
    position: Callable[[], int]


@contextmanager
def opened(name: str) -> Iterator[Input]:
    """Open a file by name, "-" for stdin. What is compressed is told by content, not by name.

    Raises: OSError.
    """
    is_stdin = name == "-"
    file = sys.stdin.fileno() if is_stdin else name
    with open(file, "rb", closefd=not is_stdin) as raw:
        compressed = raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
        lines = GzipFile(fileobj=raw) if compressed else raw
        if raw.seekable():
            yield Input(lines, os.fstat(raw.fileno()).st_size, raw.tell)
        else:
            yield Input(lines, None, lambda: 0)


Unpack = Callable[[Any], list[Any]]
"""The records of a line's value: itself, or those in it."""


def array(value: Any) -> list[Any]:
    """The records of a line that is one record, or a JSON array of them."""
    return value if isinstance(value, list) else [value]


def records(lines: BufferedIOBase, unpack: Unpack) -> Iterator[Found | Unreadable]:
    """The records of a file, in order; empty lines are passed over.

    The last line of an export is no record: what it tells of the others is compared.
    """
    endings = Endings()
    number = 0
    while True:
        number += 1
        place = f"line {number}"
        try:
            line = lines.readline()
        except (EOFError, zlib.error, BadGzipFile) as error:
            # What came before the damage is good; nothing behind it can be read.
            yield Unreadable(place, f"the compressed file is damaged here: {error}")
            return
        if not line:
            break
        parsed = _parsed(line.removeprefix(_BOM) if number == 1 else line, place, unpack)
        told = ending_of(parsed[0].value) if parsed and isinstance(parsed[0], Found) else None
        if told is None:
            endings.add(line)
            yield from parsed
        elif fault := endings.close(told):
            yield Unreadable(place, fault)
    if endings.broken_off:
        yield Unreadable(place, f"the export broke off here: {endings.broken_off}")


def _parsed(line: bytes, place: str, unpack: Unpack) -> list[Found | Unreadable]:
    if not line.strip():
        return []
    try:
        value = json.loads(line.decode(), parse_constant=_refuse)
    except UnicodeDecodeError:
        return [Unreadable(place, "not UTF-8")]
    except ValueError as error:
        return [Unreadable(place, f"not JSON: {error}")]
    except RecursionError:
        return [Unreadable(place, "not JSON that can be read: nested too deep")]
    inner = unpack(value)
    if len(inner) == 1 and inner[0] is value:
        return [Found(place, value)]
    return [
        Found(f"{place}, record {number}", record) for number, record in enumerate(inner, start=1)
    ]


def _refuse(constant: str) -> NoReturn:
    """Python reads NaN and Infinity; JSON has neither."""
    raise ValueError(f"{constant} is not a JSON value")
