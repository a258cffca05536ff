"""Filters, page sizes and page tokens (AIP-158)."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.audit.v1 import (
    audit_pb2,
    event_types_pb2,
    governance_pb2,
    saved_searches_pb2,
)
from smart_audit.audit import domain, governance
from smart_audit.audit.errors import PageTokenInvalid
from smart_audit.audit.messages.times import to_datetime

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
MAX_NUMBER = 2**63
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNREADABLE = "is not a page token; start again without one"

Named = event_types_pb2.ListEventTypesRequest | saved_searches_pb2.ListSavedSearchesRequest
Paged = (
    audit_pb2.ListEventsRequest
    | audit_pb2.ListCheckpointsRequest
    | governance_pb2.ListHoldsRequest
    | Named
)
Numbered = audit_pb2.ListCheckpointsRequest


def to_filter(request: audit_pb2.ListEventsRequest) -> domain.Filter:
    """Which events to list."""
    return domain.Filter(
        actor_id=request.actor_id or None,
        action=request.action or None,
        target_id=request.target_id or None,
        outcome=domain.Outcome(request.outcome) if request.outcome else None,
        occurred_from=_bound(request, "occurred_from"),
        occurred_before=_bound(request, "occurred_before"),
    )


def to_narrowing(request: audit_pb2.ListEventsRequest) -> dict[str, str]:
    """What narrows a list, by the names of the request's fields, as the log tells of it."""
    return {
        field.name: value.ToJsonString()
        if isinstance(value, Timestamp)
        else audit_pb2.Outcome.Name(value)
        if field.name == "outcome"
        else value
        for field, value in request.ListFields()
        if field.name not in ("page_size", "page_token", "proof")
    }


def to_page_size(request: Paged) -> int:
    """How many things to list (AIP-158: too many are made fewer)."""
    return min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def to_position(request: audit_pb2.ListEventsRequest) -> domain.Position | None:
    """Where the page begins. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        fingerprint, microseconds, index = _read_token(request.page_token)
        position = domain.Position(_time(microseconds), _number(index))
    except (ValueError, TypeError, OverflowError) as error:
        raise bad_page_token() from error
    if fingerprint != _fingerprint(request):
        raise bad_page_token("belongs to other filters; start again without one")
    return position


def to_page_token(position: domain.Position | None, request: audit_pb2.ListEventsRequest) -> str:
    """The token of the next page; empty on the last. It names a place and gives no right."""
    if position is None:
        return ""
    return _token([_fingerprint(request), _microseconds(position.occurred_at), position.log_index])


def to_number(request: Numbered) -> int | None:
    """Where a page of numbered things begins. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        kind, number = _read_token(request.page_token)
        if kind != request.DESCRIPTOR.name:
            raise ValueError(f"it is of {kind}")  # noqa: TRY301
        return _number(number)
    except (ValueError, TypeError) as error:
        raise bad_page_token() from error


def to_number_token(number: int | None, request: Numbered) -> str:
    """The token of the next page of numbered things; empty on the last."""
    return "" if number is None else _token([request.DESCRIPTOR.name, number])


def to_name(request: Named, parts: int) -> list[str] | None:
    """Where a page of named things begins: so many texts. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        kind, *names = _read_token(request.page_token)
        if kind != request.DESCRIPTOR.name or not all(isinstance(name, str) for name in names):
            raise ValueError(f"it is of {kind}")  # noqa: TRY301
    except (ValueError, TypeError) as error:
        raise bad_page_token() from error
    if len(names) != parts:
        raise bad_page_token()
    return [str(name) for name in names]


def to_name_token(names: Sequence[str] | None, request: Named) -> str:
    """The token of the next page of named things; empty on the last."""
    return "" if names is None else _token([request.DESCRIPTOR.name, *names])


def to_hold_position(request: governance_pb2.ListHoldsRequest) -> governance.HoldPosition | None:
    """Where a page of holds begins. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        microseconds, hold_id = _read_token(request.page_token)
        return governance.HoldPosition(_time(microseconds), domain.EventId(UUID(hold_id)))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise bad_page_token() from error


def to_hold_token(position: governance.HoldPosition | None) -> str:
    """The token of the next page of holds; empty on the last."""
    if position is None:
        return ""
    return _token([_microseconds(position.placed_at), str(position.id)])


def _time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // datetime.resolution


def _token(content: list[Any]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(content)).decode()


def _read_token(token: str) -> Any:
    return orjson.loads(base64.b64decode(token, altchars=b"-_", validate=True))


def _number(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < MAX_NUMBER:
        raise ValueError(f"{value!r} is no place in a log")
    return value


def bad_page_token(what: str = UNREADABLE) -> PageTokenInvalid:
    """The refusal of a page token."""
    return PageTokenInvalid(f"page_token {what}", fields={"page_token": what})


def _fingerprint(request: audit_pb2.ListEventsRequest) -> str:
    """What must stay the same from page to page: everything but the page."""
    filters = audit_pb2.ListEventsRequest()
    filters.CopyFrom(request)
    filters.ClearField("page_token")
    filters.ClearField("page_size")
    filters.ClearField("proof")
    digest = hashlib.sha256(filters.SerializeToString(deterministic=True))
    return digest.hexdigest()[:16]


def _bound(request: audit_pb2.ListEventsRequest, field: str) -> datetime | None:
    return to_datetime(getattr(request, field)) if request.HasField(field) else None  # type: ignore[arg-type]
