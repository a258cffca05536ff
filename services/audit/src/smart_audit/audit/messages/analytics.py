"""What to count, and counts, between protobuf and the domain."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from smart_audit.api.audit.v1 import analytics_pb2
from smart_audit.audit.analytics.answer import Answer, Cell, Group, Others, Piece
from smart_audit.audit.analytics.query import (
    Query,
    Span,
    invalid,
    to_distinct,
    to_fields,
    to_top,
)
from smart_audit.audit.analytics.time_line import Bucket
from smart_audit.audit.messages.times import timestamp, to_datetime

DEFAULT_ZONE = "UTC"


def to_query(request: analytics_pb2.AggregateEventsRequest) -> Query:
    """What to count, apart from the filter. Raises: AggregationInvalid."""
    fields = to_fields(request.group_by)
    bucket = Bucket(request.bucket) if request.bucket else None
    return Query(
        span=_span(request),
        fields=fields,
        bucket=bucket,
        zone=_zone(request.time_zone or DEFAULT_ZONE),
        top=to_top(request.top, fields, bucket),
        distinct=to_distinct(request.count_distinct),
    )


def to_narrowing(request: analytics_pb2.AggregateEventsRequest) -> dict[str, str]:
    """What is counted, for the event that tells of it."""
    return {
        "filter": request.filter,
        "group_by": ", ".join(request.group_by),
        "count_distinct": ", ".join(request.count_distinct),
        "occurred_from": _time(request, "occurred_from"),
        "occurred_before": _time(request, "occurred_before"),
    }


def from_answer(answer: Answer, query: Query) -> analytics_pb2.AggregateEventsResponse:
    """The counts."""
    return analytics_pb2.AggregateEventsResponse(
        total=answer.total,
        groups=map(_group, answer.groups),
        other=_others(answer.other) if query.fields else None,
        columns=map(_group, answer.columns),
        other_columns=_others(answer.other_columns) if len(query.fields) > 1 else None,
        buckets=map(_bucket, answer.pieces),
        bucket=analytics_pb2.TimeBucket.ValueType(answer.bucket or 0),
        time_zone=query.zone.key,
        distinct=[
            analytics_pb2.DistinctCount(field=field.value, count=count)
            for field, count in answer.distinct
        ],
        log_size=answer.log_size,
    )


def _span(request: analytics_pb2.AggregateEventsRequest) -> Span:
    """Raises: AggregationInvalid for one that begins after its end."""
    first = to_datetime(request.occurred_from) if request.HasField("occurred_from") else None
    before = to_datetime(request.occurred_before) if request.HasField("occurred_before") else None
    if first is not None and before is not None and first > before:
        raise invalid("occurred_from", "is later than occurred_before; exchange them")
    return Span(first, before)


def _zone(name: str) -> ZoneInfo:
    """Raises: AggregationInvalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        what = f"{name!r} is unknown; give a name such as Europe/Berlin, or none for UTC"
        raise invalid("time_zone", what) from error


def _group(group: Group) -> analytics_pb2.Group:
    return analytics_pb2.Group(
        value=group.value,
        count=group.events,
        erased=group.erased,
        filter="" if group.filter is None else str(group.filter),
        over_time=group.over_time,
        cells=map(_cell, group.cells),
    )


def _cell(cell: Cell) -> analytics_pb2.Cell:
    return analytics_pb2.Cell(count=cell.events, over_time=cell.over_time)


def _others(others: Others) -> analytics_pb2.OtherGroups:
    return analytics_pb2.OtherGroups(groups=others.groups, count=others.events)


def _bucket(piece: Piece) -> analytics_pb2.Bucket:
    return analytics_pb2.Bucket(
        start=timestamp(piece.start), end=timestamp(piece.end), count=piece.events
    )


def _time(request: analytics_pb2.AggregateEventsRequest, field: str) -> str:
    return getattr(request, field).ToJsonString() if request.HasField(field) else ""  # type: ignore[arg-type]
