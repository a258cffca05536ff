"""Cursors of exports as text. One names a place and gives no right: each use is authorised anew."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import orjson

from smart_audit.audit.domain import OrganisationId, Position
from smart_audit.audit.errors import ExportCursorInvalid
from smart_audit.audit.exports import Cursor, ExportSpec, Mark, Span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MAX_NUMBER = 2**63
MAX_MICROSECONDS = 253_402_300_800 * 1_000_000


def to_text(cursor: Cursor, spec: ExportSpec, organisation_id: OrganisationId) -> str:
    """The cursor of an export; it fits the same request of the same organisation alone."""
    span, mark = cursor
    parts: list[object] = [_fingerprint(spec, organisation_id), *span, mark.log_index]
    if mark.after is not None:
        microseconds = (mark.after.occurred_at - EPOCH) // datetime.resolution
        parts += [microseconds, mark.after.log_index]
    # Without padding, so that it stands in a query as it is.
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def from_text(text: str, spec: ExportSpec, organisation_id: OrganisationId) -> Cursor:
    """Raises: ExportCursorInvalid."""
    try:
        padded = text + "=" * (-len(text) % 4)
        parts = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        fingerprint, *numbers = parts
        first, before, log_index, *after = map(_number, numbers)
        mark = Mark(log_index, _position(*after) if after else None)
    except (ValueError, TypeError) as error:
        raise _invalid("is not a cursor of an export; start again without one") from error
    if fingerprint != _fingerprint(spec, organisation_id):
        raise _invalid("belongs to another request; start again without one")
    return Cursor(Span(first, before), mark)


def _position(microseconds: int, log_index: int) -> Position:
    if microseconds >= MAX_MICROSECONDS:
        raise ValueError("it is beyond the year 9999")
    return Position(EPOCH + timedelta(microseconds=microseconds), log_index)


def _number(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < MAX_NUMBER:
        raise ValueError(f"{value!r} is no number of a cursor")
    return value


def _fingerprint(spec: ExportSpec, organisation_id: OrganisationId) -> str:
    """What must stay the same from call to call."""
    said = orjson.dumps([str(organisation_id), spec.format, spec.filter, spec.proofs])
    return hashlib.sha256(said).hexdigest()[:16]


def _invalid(what: str) -> ExportCursorInvalid:
    return ExportCursorInvalid(f"cursor {what}", fields={"cursor": what})
