"""Settings, holds and erasures, between protobuf and the domain."""

from typing import Any

from smart_audit.api.audit.v1 import governance_pb2
from smart_audit.audit import domain, governance
from smart_audit.audit.messages.times import timestamp, to_datetime
from smart_audit.core.errors import InvalidArgument


def to_settings(message: governance_pb2.LogSettings) -> governance.LogSettings:
    """The settings to take."""
    readers = governance.Readers(message.readers or governance.Readers.MEMBERS)
    records_reads = message.reads != governance_pb2.READ_RECORDING_OFF
    return governance.LogSettings(message.retention_days, readers, records_reads)


def from_settings(settings: governance.LogSettings) -> governance_pb2.LogSettings:
    """The settings of a log."""
    return governance_pb2.LogSettings(
        retention_days=settings.retention_days,
        readers=governance_pb2.LogReaders.ValueType(settings.readers),
        reads=governance_pb2.READ_RECORDING_ON
        if settings.records_reads
        else governance_pb2.READ_RECORDING_OFF,
    )


def to_subject(message: governance_pb2.Subject) -> domain.Subject:
    """Whose data."""
    return domain.Subject(message.type or domain.PERSON, message.id)


def to_held(request: governance_pb2.PlaceHoldRequest) -> governance.Held:
    """What to hold. Raises: InvalidArgument for a period without length."""
    match request.WhichOneof("held"):
        case "subject":
            return to_subject(request.subject)
        case "target_id":
            return governance.HeldTarget(request.target_id)
        case _:
            return _period(request.period)


def from_hold(hold: governance.Hold) -> governance_pb2.Hold:
    """A legal hold."""
    message = governance_pb2.Hold(
        id=str(hold.id),
        reason=hold.reason,
        placed_by=hold.placed_by,
        placed_at=timestamp(hold.placed_at),
        **_held(hold.held),
    )
    if hold.released_at is not None:
        message.released_at.CopyFrom(timestamp(hold.released_at))
    return message


def from_erasure(erasure: governance.Erasure) -> governance_pb2.EraseSubjectResponse:
    """The event that tells of a person's erasure."""
    return governance_pb2.EraseSubjectResponse(
        event_id=str(erasure.event_id),
        log_index=erasure.log_index,
        erased_at=timestamp(erasure.erased_at),
    )


def _period(message: governance_pb2.Period) -> governance.Period:
    # `from` is a word of Python's own.
    first, before = to_datetime(getattr(message, "from")), to_datetime(message.before)
    if first >= before:
        what = "must be after period.from"
        raise InvalidArgument(f"period.before {what}", fields={"period.before": what})
    return governance.Period(first, before)


def _held(held: governance.Held) -> dict[str, Any]:
    match held:
        case domain.Subject():
            return {"subject": governance_pb2.Subject(type=held.type, id=held.id)}
        case governance.HeldTarget():
            return {"target_id": held.id}
        case governance.Period():
            span = {"from": timestamp(held.first), "before": timestamp(held.before)}
            return {"period": governance_pb2.Period(**span)}
