"""The last record of an export in a text format: it says that all is there.

Over HTTP/1.1 a stream that was cut off may end like a whole one, with status 200. So the file says
itself where it ends, in the way that disturbs readers of its format least (docs/exports.md):

- JSON lines, OCSF, CloudEvents: a line `{"end": {…}}`, of a member that no event has.
- CSV: a row as wide as all others, whose first cell begins with "#end"; readers that know comments
  skip it, and those that count columns find them all.
- CEF: an event of the signature id "export.end".

Parquet needs none: its footer is the end.
"""

from dataclasses import dataclass

import orjson

from smart_audit.audit.formats import FormatName
from smart_audit.audit.formats.comma import HEADER
from smart_audit.audit.formats.product import NAME, product_version


@dataclass(frozen=True, slots=True)
class Ending:
    """What the last record tells."""

    events: int
    """How many events this answer, or this file, has."""
    sha256: str
    """Over all bytes in front of the record, in hex."""
    cursor: str
    """From here on a later export goes on; of one that broke off, where to go on with it."""
    checkpoint: str = ""
    """The signed note that proofs lead to."""
    reason: str = ""
    """Why it broke off; empty when it is complete."""


def ending(name: FormatName, told: Ending) -> bytes:
    """The record; empty in a format that needs none."""
    match name:
        case FormatName.CSV:
            return _row(told)
        case FormatName.CEF:
            return _event(told)
        case FormatName.PARQUET:
            return b""
        case _:
            return _line(told)


def _line(told: Ending) -> bytes:
    end: dict[str, object] = {
        "complete": not told.reason,
        "events": str(told.events),
        "sha256": told.sha256,
        "cursor": told.cursor,
    }
    if told.checkpoint:
        end["checkpoint"] = told.checkpoint
    if told.reason:
        end["reason"] = told.reason
    return orjson.dumps({"end": end}, option=orjson.OPT_APPEND_NEWLINE)


def _row(told: Ending) -> bytes:
    # Without commas and quotes, so that the row begins with the mark.
    cell = " ".join(f"{name}={value}" for name, value in _pairs(told))
    return f"#end {cell}{',' * (len(HEADER) - 1)}\r\n".encode()


def _event(told: Ending) -> bytes:
    severity = 5 if told.reason else 0
    header = f"CEF:0|{NAME}|{NAME}|{product_version()}|export.end|Export ended|{severity}|"
    count = f"cnt={told.events} outcome={'failure' if told.reason else 'success'}"
    named = {"sha256": told.sha256, "cursor": told.cursor, "reason": told.reason}
    fields = [
        f"cs{number}Label={name} cs{number}={value}"
        for number, (name, value) in enumerate(named.items(), 1)
        if value
    ]
    return f"{header}{' '.join([count, *fields])}\n".encode()


def _pairs(told: Ending) -> list[tuple[str, str]]:
    pairs = [
        ("complete", "false" if told.reason else "true"),
        ("events", str(told.events)),
        ("sha256", told.sha256),
        ("cursor", told.cursor),
    ]
    return [*pairs, ("reason", told.reason)] if told.reason else pairs
