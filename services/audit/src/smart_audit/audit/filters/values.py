"""The values that fields of other types than text take."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from smart_audit.audit.domain import Outcome
from smart_audit.audit.errors import FilterInvalid
from smart_audit.audit.fields import Field, Kind
from smart_audit.audit.filters.syntax import Literal, shown
from smart_audit.audit.terms import text_of

LARGEST = 2**63 - 1
MAX_SAFE_INTEGER = 2**53 - 1

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)
_FLOAT = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_EXPECTED = {
    Kind.TIME: "a time with its zone (RFC 3339) such as 2026-01-31T08:00:00Z",
    Kind.NUMBER: f"a whole number up to {LARGEST}",
    Kind.ID: "a UUID",
    Kind.OUTCOME: ", ".join(outcome.name for outcome in Outcome),
}


def to_value(field: Field, literal: Literal) -> int | datetime | UUID | Outcome:
    """The value of a field that holds no text. Raises: FilterInvalid."""
    try:
        return _READERS[field.kind](literal.text)
    except (ValueError, KeyError, OverflowError):
        raise FilterInvalid(
            f"has {shown(literal.text)} for {field.name}, which takes {_EXPECTED[field.kind]}",
            literal.start + 1,
            field=field.name,
        ) from None


def number_text(text: str) -> str:
    """A number in metadata as it is indexed, `1.5` for `1.50`; any other text as it is.

    Whole numbers stay as they are written: many are names and no numbers.
    """
    if text.lstrip("-").isdecimal() or not _FLOAT.fullmatch(text):
        return text
    number = float(text)
    if not math.isfinite(number):
        return text
    whole = number.is_integer() and abs(number) <= MAX_SAFE_INTEGER
    return text_of(int(number) if whole else number)


def _time(text: str) -> datetime:
    """To the microsecond; what is finer is cut off."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(text)
    day, time, fraction, zone = found.groups()
    read = datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{zone.upper()}")
    return read.astimezone(UTC)


def _number(text: str) -> int:
    if not _WHOLE.fullmatch(text) or abs(int(text)) > LARGEST:
        raise ValueError(text)
    return int(text)


def _id(text: str) -> UUID:
    if not _ID.fullmatch(text):
        raise ValueError(text)
    return UUID(text)


def _outcome(text: str) -> Outcome:
    return Outcome[text.upper().removeprefix("OUTCOME_")]


_READERS: dict[Kind, Callable[[str], int | datetime | UUID | Outcome]] = {
    Kind.TIME: _time,
    Kind.NUMBER: _number,
    Kind.ID: _id,
    Kind.OUTCOME: _outcome,
}
