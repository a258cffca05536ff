"""What all kinds of records have in common: ids, times, actions, and what remains of a record."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from uuid import UUID, uuid5

from smart_audit.client.events import MAX_ACTION

Json = Mapping[str, Any]
Path = Sequence[str]
"""Where a value stands: the keys of nested objects."""

_FIRST_YEAR: Final = 1970  # the contract takes no earlier time
_NO_ACTION: Final = re.compile(r"[^A-Za-z0-9._:/-]+")
_NOT_FIRST: Final = re.compile(r"^[^A-Za-z0-9]+")
_ACTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
# Sources that begin so are those of the services alone; their events, moved to another log, say so.
_RESERVED: Final = "smart-audit."
_MOVED: Final = "imported."


class BadRecord(ValueError):
    """A JSON value that makes no event; the message says why, and names the field."""


@contextmanager
def texts_checked() -> Iterator[None]:
    """JSON can write half a character, which no event holds. Raises: BadRecord."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise BadRecord("a text in it has no UTF-8") from error


def object_of(record: Any) -> dict[str, Any]:
    """The record, which must be a JSON object. Raises: BadRecord."""
    if not isinstance(record, dict):
        raise BadRecord("not a JSON object")
    return record


def stable_id(given: Any, namespace: UUID, source: str, record: Json) -> str:
    """The id of an event: the record's own if that is a UUID, or one made of what the record is.

    That is its source and own id, or the whole record if it has no id. Two records without ids
    that are the same to the letter are one.
    """
    if isinstance(given, str) and given:
        own = usual_uuid(given)
        return own or str(uuid5(namespace, f"{source}\n{given}"))
    if isinstance(given, int) and not isinstance(given, bool):
        return str(uuid5(namespace, f"{source}\n{given}"))
    return str(uuid5(namespace, canonical(record)))


def usual_uuid(text: str) -> str:
    """The UUID in small letters; "" when it is none, or in braces or with a prefix."""
    try:
        read = str(UUID(text))
    except ValueError:
        return ""
    return read if read == text.lower() else ""


def canonical(record: Json) -> str:
    """One spelling of a record."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def moment(text: str, field: str, zone: tzinfo | None = None) -> datetime:
    """A time in RFC 3339; one without a zone is of the zone given.

    Raises: BadRecord.
    """
    try:
        local = datetime.fromisoformat(text)
        if local.tzinfo is None and zone is not None:
            local = local.replace(tzinfo=zone)
        found = local.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadRecord(f"{field} {text[:40]!r} is not a time") from error
    if local.tzinfo is None:
        raise BadRecord(f"{field} {text!r} has no time zone")
    return not_too_early(found, field)


def not_too_early(time: datetime, field: str) -> datetime:
    """The time. Raises: BadRecord before 1970."""
    if time.year < _FIRST_YEAR:
        raise BadRecord(f"{field} {time.isoformat()} lies before {_FIRST_YEAR}")
    return time


def time_text(time: datetime) -> str:
    """The shortest text of RFC 3339 in UTC."""
    return time.replace(tzinfo=None).isoformat() + "Z"


def action_of(text: str, field: str) -> str:
    """An action; what the contract does not take in one becomes "_". Raises: BadRecord."""
    action = _NO_ACTION.sub("_", _NOT_FIRST.sub("", text)).rstrip("_")
    if not _ACTION.fullmatch(action) or len(action) > MAX_ACTION:
        raise BadRecord(f"{field} {text[:MAX_ACTION]!r} makes no action")
    return action


def source_of(text: str) -> str:
    """A source; one that only the services may use is marked as brought from elsewhere."""
    return _MOVED + text if text.startswith(_RESERVED) else text


def fitting(candidates: Iterable[Any], limit: int) -> str:
    """The first candidate that is a text of 1 to `limit` characters, or ""."""
    return next(
        (text for text in candidates if isinstance(text, str) and 0 < len(text) <= limit), ""
    )


def value_at(record: Any, path: Path) -> Any:
    """The value at a path; None when there is none."""
    for key in path:
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def remainder(record: Json, said: Iterable[tuple[Path, Any]]) -> Json:
    """The record without the values that an event says exactly: (where it stands, what is said)."""
    for path, value in said:
        record = _without(record, path, value)
    return record


def _without(record: Json, path: Path, value: Any) -> Json:
    key, *rest = path
    inner = record.get(key)
    if not rest:
        gone = inner == value and type(inner) is type(value)
        return {name: one for name, one in record.items() if name != key} if gone else record
    if not isinstance(inner, dict):
        return record
    reduced = _without(inner, rest, value)
    if reduced is inner:
        return record
    others = {name: one for name, one in record.items() if name != key}
    return {**others, key: reduced} if reduced else others
