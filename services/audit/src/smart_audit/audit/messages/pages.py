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
    exports_pb2,
    governance_pb2,
    saved_searches_pb2,
)
from smart_audit.audit import domain, exports, governance
from smart_audit.audit.errors import OrderByInvalid, PageTokenInvalid
from smart_audit.audit.filters import parse_filter
from smart_audit.audit.messages.times import to_datetime
from smart_audit.audit.use_cases.read_events import Listing

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
MAX_NUMBER = 2**63
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE_FIELDS = frozenset(("page_token", "page_size", "proof"))
UNREADABLE = "is not a page token; start again without one"

Named = event_types_pb2.ListEventTypesRequest | saved_searches_pb2.ListSavedSearchesRequest
Paged = (
    audit_pb2.ListEventsRequest
    | audit_pb2.ListCheckpointsRequest
    | exports_pb2.ListOperationsRequest
    | governance_pb2.ListHoldsRequest
    | Named
)
Numbered = audit_pb2.ListCheckpointsRequest
Dated = governance_pb2.ListHoldsRequest | exports_pb2.ListOperationsRequest


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
        field.name: to_datetime(value).isoformat()
        if isinstance(value, Timestamp)
        else audit_pb2.Outcome.Name(value)
        if field.name == "outcome"
        else value
        for field, value in request.ListFields()
        if field.name not in PAGE_FIELDS
    }


def to_listing(
    request: audit_pb2.ListEventsRequest, organisation_id: domain.OrganisationId
) -> Listing:
    """Which page of events to list. Raises: FilterInvalid, OrderByInvalid, PageTokenInvalid."""
    return Listing(
        narrow=to_filter(request),
        expression=parse_filter(request.filter),
        oldest_first=to_oldest_first(request.order_by),
        after=to_position(request, organisation_id),
        limit=to_page_size(request),
    )


def to_oldest_first(order_by: str) -> bool:
    """The order of events (AIP-132). Raises: OrderByInvalid."""
    match order_by.split():
        case [] | ["occurred_at", "desc"]:
            return False
        case ["occurred_at"] | ["occurred_at", "asc"]:
            return True
    what = 'must be "occurred_at desc", "occurred_at" or empty'
    raise OrderByInvalid(f"order_by {what}", fields={"order_by": what})


def to_page_size(request: Paged) -> int:
    """How many things to list (AIP-158: too many are made fewer)."""
    return min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def to_position(
    request: audit_pb2.ListEventsRequest, organisation_id: domain.OrganisationId
) -> domain.Position | None:
    """Where the page begins. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        fingerprint, microseconds, index = _read_token(request.page_token)
        position = domain.Position(_time(microseconds), _number(index))
    except (ValueError, TypeError, OverflowError) as error:
        raise bad_page_token() from error
    _check(fingerprint, request, organisation_id)
    return position


def to_page_token(
    position: domain.Position | None,
    request: audit_pb2.ListEventsRequest,
    organisation_id: domain.OrganisationId,
) -> str:
    """The token of the next page; empty on the last. It names a place and gives no right."""
    if position is None:
        return ""
    fingerprint = _fingerprint(request, organisation_id)
    return _token([fingerprint, _microseconds(position.occurred_at), position.log_index])


def to_number(request: Numbered, organisation_id: domain.OrganisationId) -> int | None:
    """Where a page of numbered things begins. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        fingerprint, number = _read_token(request.page_token)
        place = _number(number)
    except (ValueError, TypeError) as error:
        raise bad_page_token() from error
    _check(fingerprint, request, organisation_id)
    return place


def to_number_token(
    number: int | None, request: Numbered, organisation_id: domain.OrganisationId
) -> str:
    """The token of the next page of numbered things; empty on the last."""
    return "" if number is None else _token([_fingerprint(request, organisation_id), number])


def to_name(request: Named, parts: int, organisation_id: domain.OrganisationId) -> list[str] | None:
    """Where a page of named things begins: so many texts. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        fingerprint, *names = _read_token(request.page_token)
    except (ValueError, TypeError) as error:
        raise bad_page_token() from error
    _check(fingerprint, request, organisation_id)
    if len(names) != parts or not all(isinstance(name, str) for name in names):
        raise bad_page_token()
    return list(map(str, names))


def to_name_token(
    names: Sequence[str] | None, request: Named, organisation_id: domain.OrganisationId
) -> str:
    """The token of the next page of named things; empty on the last."""
    return "" if names is None else _token([_fingerprint(request, organisation_id), *names])


def to_hold_position(
    request: governance_pb2.ListHoldsRequest, organisation_id: domain.OrganisationId
) -> governance.HoldPosition | None:
    """Where a page of holds begins. Raises: PageTokenInvalid."""
    place = _dated(request, organisation_id)
    return None if place is None else governance.HoldPosition(*place)


def to_hold_token(
    position: governance.HoldPosition | None,
    request: governance_pb2.ListHoldsRequest,
    organisation_id: domain.OrganisationId,
) -> str:
    """The token of the next page of holds; empty on the last."""
    if position is None:
        return ""
    return _dated_token(position.placed_at, position.id, request, organisation_id)


def to_export_position(
    request: exports_pb2.ListOperationsRequest, organisation_id: domain.OrganisationId
) -> exports.ExportPosition | None:
    """Where a page of exports begins. Raises: PageTokenInvalid."""
    place = _dated(request, organisation_id)
    return None if place is None else exports.ExportPosition(*place)


def to_export_token(
    position: exports.ExportPosition | None,
    request: exports_pb2.ListOperationsRequest,
    organisation_id: domain.OrganisationId,
) -> str:
    """The token of the next page of exports; empty on the last."""
    if position is None:
        return ""
    return _dated_token(position.created_at, position.id, request, organisation_id)


def _dated(
    request: Dated, organisation_id: domain.OrganisationId
) -> tuple[datetime, domain.EventId] | None:
    """Where a page begins of what is in order of a time and an id. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        fingerprint, microseconds, id_ = _read_token(request.page_token)
        place = _time(microseconds), domain.EventId(UUID(id_))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise bad_page_token() from error
    _check(fingerprint, request, organisation_id)
    return place


def _dated_token(
    time: datetime, id_: UUID, request: Dated, organisation_id: domain.OrganisationId
) -> str:
    return _token([_fingerprint(request, organisation_id), _microseconds(time), str(id_)])


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


def _check(fingerprint: str, request: Paged, organisation_id: domain.OrganisationId) -> None:
    """Raises: PageTokenInvalid."""
    if fingerprint != _fingerprint(request, organisation_id):
        raise bad_page_token("belongs to another list or other filters; start again without one")


def _fingerprint(request: Paged, organisation_id: domain.OrganisationId) -> str:
    """What must stay the same from page to page: whose list it is, and all but the page."""
    same = type(request)()
    same.CopyFrom(request)  # type: ignore[arg-type]
    for field in PAGE_FIELDS.intersection(request.DESCRIPTOR.fields_by_name):
        same.ClearField(field)  # type: ignore[arg-type]
    digest = hashlib.sha256(organisation_id.bytes + request.DESCRIPTOR.full_name.encode())
    digest.update(same.SerializeToString(deterministic=True))
    return digest.hexdigest()[:16]


def _bound(request: audit_pb2.ListEventsRequest, field: str) -> datetime | None:
    return to_datetime(getattr(request, field)) if request.HasField(field) else None  # type: ignore[arg-type]
