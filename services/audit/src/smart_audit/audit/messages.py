"""Between protobuf and the domain."""

import base64
import binascii
import hashlib
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit import domain
from smart_audit.audit.checkpoints import SignedCheckpoint
from smart_audit.audit.errors import OrganisationForbidden, PageTokenInvalid
from smart_audit.core.errors import DomainError, InvalidArgument
from smart_audit.core.ids import new_id, utc_now
from smart_audit.core.tokens import Caller

RECORD_ANY = "events.record_any"
OWN_SOURCES = "smart-audit."
DEFAULT_ACTOR_TYPE = "user"
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
MAX_SAFE_INTEGER = 2**53 - 1
MAX_INDEX = 2**63
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_new_event(message: audit_pb2.Event, caller: Caller) -> domain.NewEvent:
    """The event that a caller wants recorded.

    Raises: OrganisationForbidden, InvalidArgument.
    """
    if message.source.startswith(OWN_SOURCES) and RECORD_ANY not in caller.scopes:
        what = f"must not begin with {OWN_SOURCES}: that is how the services' own events are known"
        raise InvalidArgument(f"source {what}", fields={"source": what})
    time_given = message.HasField("occurred_at")
    actor = message.actor
    event = domain.Event(
        id=domain.EventId(UUID(message.id) if message.id else new_id()),
        organisation_id=_organisation(message.organisation_id, caller),
        action=message.action,
        actor=domain.Actor(actor.id, actor.type or DEFAULT_ACTOR_TYPE, actor.name, actor.email),
        outcome=domain.Outcome(message.outcome),
        occurred_at=_datetime(message.occurred_at) if time_given else utc_now(),
        targets=tuple(domain.Target(one.id, one.type, one.name) for one in message.targets),
        outcome_reason=message.outcome_reason,
        source=message.source,
        source_address=message.source_address,
        user_agent=message.user_agent,
        metadata=_metadata(message),
    )
    return domain.NewEvent(event, time_given)


def from_recorded(recorded: domain.Recorded) -> audit_pb2.Event:
    """An event out of the log."""
    event = recorded.event
    message = audit_pb2.Event(
        id=str(event.id),
        organisation_id=str(event.organisation_id),
        action=event.action,
        actor=audit_pb2.Actor(
            id=event.actor.id, type=event.actor.type, name=event.actor.name, email=event.actor.email
        ),
        targets=[
            audit_pb2.Target(id=target.id, type=target.type, name=target.name)
            for target in event.targets
        ],
        outcome=audit_pb2.Outcome.ValueType(event.outcome),
        outcome_reason=event.outcome_reason,
        occurred_at=_timestamp(event.occurred_at),
        source=event.source,
        source_address=event.source_address,
        user_agent=event.user_agent,
        recorded_at=_timestamp(recorded.recorded_at),
        log_index=recorded.log_index,
    )
    if event.metadata:
        message.metadata.update(event.metadata)
    return message


def from_recorded_with_leaf(recorded: domain.Recorded) -> audit_pb2.GetEventResponse:
    """An event and what proves it."""
    return audit_pb2.GetEventResponse(
        event=from_recorded(recorded),
        leaf=recorded.leaf,
        leaf_hash=recorded.leaf_hash,
        disclosures=recorded.disclosures,
    )


def from_receipt(receipt: domain.Receipt) -> audit_pb2.Receipt:
    """What the caller holds in hand."""
    return audit_pb2.Receipt(
        event_id=str(receipt.event_id),
        organisation_id=str(receipt.organisation_id),
        recorded_at=_timestamp(receipt.recorded_at),
        proof=from_inclusion(receipt.proof),
    )


def from_result(result: domain.Receipt | DomainError) -> audit_pb2.RecordResult:
    """What became of one event of a batch."""
    if isinstance(result, DomainError):
        fields = result.fields if isinstance(result, InvalidArgument) else {}
        refusal = audit_pb2.Refusal(reason=result.reason, message=result.message, fields=fields)
        return audit_pb2.RecordResult(refusal=refusal)
    return audit_pb2.RecordResult(receipt=from_receipt(result))


def from_inclusion(proof: domain.InclusionProof) -> audit_pb2.InclusionProof:
    """An inclusion proof."""
    return audit_pb2.InclusionProof(
        log_index=proof.log_index,
        tree_size=proof.tree_size,
        leaf_hash=proof.leaf_hash,
        hashes=proof.hashes,
        root_hash=proof.root,
    )


def from_consistency(proof: domain.ConsistencyProof) -> audit_pb2.GetConsistencyProofResponse:
    """A consistency proof."""
    return audit_pb2.GetConsistencyProofResponse(
        first_size=proof.first_size,
        second_size=proof.second_size,
        first_root_hash=proof.first_root,
        second_root_hash=proof.second_root,
        hashes=proof.hashes,
    )


def from_checkpoint(signed: SignedCheckpoint) -> audit_pb2.GetCheckpointResponse:
    """A signed checkpoint."""
    return audit_pb2.GetCheckpointResponse(
        origin=signed.checkpoint.origin,
        tree_size=signed.checkpoint.size,
        root_hash=signed.checkpoint.root,
        note=signed.note,
        verifier_key=signed.verifier_key,
    )


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


def to_page_size(request: audit_pb2.ListEventsRequest) -> int:
    """How many events to list (AIP-158: too many are made fewer)."""
    return min(request.page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def to_position(request: audit_pb2.ListEventsRequest) -> domain.Position | None:
    """Where the page begins. Raises: PageTokenInvalid."""
    if not request.page_token:
        return None
    try:
        fingerprint, microseconds, index = orjson.loads(
            base64.b64decode(request.page_token, altchars=b"-_", validate=True)
        )
        occurred_at = EPOCH + timedelta(microseconds=microseconds)
        if not 0 <= index < MAX_INDEX:
            raise ValueError(f"{index} is no place in a log")  # noqa: TRY301
        position = domain.Position(occurred_at, int(index))
    except (binascii.Error, ValueError, TypeError, OverflowError) as error:
        raise _bad_page_token("is not a page token; start again without one") from error
    if fingerprint != _fingerprint(request):
        raise _bad_page_token("belongs to other filters; start again without one")
    return position


def to_page_token(position: domain.Position | None, request: audit_pb2.ListEventsRequest) -> str:
    """The token of the next page; empty on the last. It names a place and gives no right."""
    if position is None:
        return ""
    microseconds = (position.occurred_at - EPOCH) // (datetime.resolution)
    token = orjson.dumps([_fingerprint(request), microseconds, position.log_index])
    return base64.urlsafe_b64encode(token).decode()


def _bad_page_token(what: str) -> PageTokenInvalid:
    return PageTokenInvalid(f"page_token {what}", fields={"page_token": what})


def _fingerprint(request: audit_pb2.ListEventsRequest) -> str:
    """What must stay the same from page to page: everything but the page."""
    filters = audit_pb2.ListEventsRequest()
    filters.CopyFrom(request)
    filters.ClearField("page_token")
    filters.ClearField("page_size")
    digest = hashlib.sha256(filters.SerializeToString(deterministic=True))
    return digest.hexdigest()[:16]


def _bound(request: audit_pb2.ListEventsRequest, field: str) -> datetime | None:
    return _datetime(getattr(request, field)) if request.HasField(field) else None  # type: ignore[arg-type]


def _organisation(given: str, caller: Caller) -> domain.OrganisationId:
    """Raises: OrganisationForbidden."""
    organisation_id = UUID(given) if given else caller.organisation_id
    if organisation_id != caller.organisation_id and RECORD_ANY not in caller.scopes:
        raise OrganisationForbidden(
            "the access token is for another organisation; leave organisation_id empty",
            organisation_id=given,
        )
    return domain.OrganisationId(organisation_id)


def _metadata(message: audit_pb2.Event) -> Mapping[str, Any]:
    """The metadata as plain values. Raises: InvalidArgument when too large or too deep."""
    if not message.HasField("metadata"):
        return {}
    if message.metadata.ByteSize() > domain.MAX_METADATA_BYTES:
        raise _bad_metadata(f"must be at most {domain.MAX_METADATA_BYTES} bytes")
    return _struct(message.metadata, 1)


def _bad_metadata(what: str) -> InvalidArgument:
    return InvalidArgument(f"metadata {what}", fields={"metadata": what})


def _struct(struct: Struct, depth: int) -> dict[str, Any]:
    if depth > domain.MAX_METADATA_DEPTH:
        raise _bad_metadata(f"must be at most {domain.MAX_METADATA_DEPTH} levels deep")
    return {key: _value(value, depth) for key, value in struct.fields.items()}


def _value(value: Value, depth: int) -> Any:
    """A value by hand: `MessageToDict` is several times slower."""
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "number_value":
            return _number(value.number_value)
        case "bool_value":
            return value.bool_value
        case "struct_value":
            return _struct(value.struct_value, depth + 1)
        case "list_value":
            if depth >= domain.MAX_METADATA_DEPTH:
                raise _bad_metadata(f"must be at most {domain.MAX_METADATA_DEPTH} levels deep")
            return [_value(item, depth + 1) for item in value.list_value.values]
        case _:
            return None


def _number(number: float) -> int | float:
    """A number of a Struct, which knows doubles alone; whole ones become integers again."""
    if not math.isfinite(number):
        raise _bad_metadata("must not hold infinite numbers")
    if number.is_integer() and abs(number) <= MAX_SAFE_INTEGER:
        return int(number)
    return number


def _datetime(timestamp: Timestamp) -> datetime:
    """To the microsecond. Raises: InvalidArgument outside the years 1 to 9999."""
    try:
        return timestamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidArgument("a time is out of range; use the years 1 to 9999") from error


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp
