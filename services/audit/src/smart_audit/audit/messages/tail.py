"""Streams: what a request asks for, and each record in three forms."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from smart_audit.api.audit.v1 import tail_pb2
from smart_audit.audit.domain import OrganisationId, Recorded
from smart_audit.audit.filters import parse_filter
from smart_audit.audit.messages.events import from_recorded
from smart_audit.audit.messages.times import timestamp, to_datetime
from smart_audit.audit.tail.cursors import Cursors
from smart_audit.audit.use_cases.tail_events import Wanted
from smart_audit.core.ids import utc_now

KEPT = 256
LINES = "application/x-ndjson"
SERVER_SENT_EVENTS = "text/event-stream; charset=utf-8"

T = TypeVar("T")


def to_wanted(
    request: tail_pb2.TailEventsRequest,
    last_event_id: str,
    organisation_id: OrganisationId,
    cursors: Cursors,
    heartbeat_s: float,
) -> Wanted:
    """What a request asks for; the header `Last-Event-ID` comes before what it says itself.

    Raises: FilterInvalid, CursorInvalid.
    """
    start = request.WhichOneof("start")
    cursor = last_event_id or request.cursor
    if cursor:
        position: int | None = cursors.read(organisation_id, cursor)
    else:
        position = 0 if start == "from_start" and request.from_start else None
    since = to_datetime(request.since) if start == "since" and not cursor else None
    return Wanted(
        parse_filter(request.filter), position, since, request.heartbeat_seconds or heartbeat_s
    )


class Form(Protocol):
    """How a stream says what it has to say, a message at a time."""

    def found(self, events: Sequence[Recorded], cursor: str, /) -> Message:
        """Events that match."""

    def heartbeat(self, cursor: str, /) -> Message:
        """A sign of life."""

    def end(self, reason: str, message: str, cursor: str, /) -> Message:
        """The last record."""


class Once(Generic[T]):
    """Renders what many streams send at about the same time once."""

    def __init__(self, render: Callable[[Recorded], T]) -> None:
        self._render = render
        self._kept: OrderedDict[int, tuple[Recorded, T]] = OrderedDict()

    def __call__(self, recorded: Recorded) -> T:
        """The event rendered; streams of one log share the very object."""
        known = self._kept.get(id(recorded))
        if known is not None and known[0] is recorded:
            return known[1]
        rendered = self._render(recorded)
        self._kept[id(recorded)] = recorded, rendered
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return rendered


class Messages:
    """As messages of gRPC."""

    def __init__(self) -> None:
        self._event = Once(from_recorded)

    def found(self, events: Sequence[Recorded], cursor: str) -> Message:
        """Events that match."""
        tailed = tail_pb2.TailedEvents(events=map(self._event, events))
        return tail_pb2.TailEventsResponse(cursor=cursor, events=tailed)

    def heartbeat(self, cursor: str) -> Message:
        """A sign of life."""
        return tail_pb2.TailEventsResponse(cursor=cursor, heartbeat=_heartbeat())

    def end(self, reason: str, message: str, cursor: str) -> Message:
        """The last record."""
        end = tail_pb2.TailEnd(reason=reason, message=message)
        return tail_pb2.TailEventsResponse(cursor=cursor, end=end)


class Lines:
    """As text, a line of JSON each."""

    content_type = LINES

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors
        self._line = Once(self._render)

    def found(self, events: Sequence[Recorded], _cursor: str) -> Message:
        """Events that match; each has the cursor behind it."""
        return self._body(b"".join(map(self._line, events)))

    def heartbeat(self, cursor: str) -> Message:
        """A sign of life."""
        line = tail_pb2.TailLine(cursor=cursor, heartbeat=_heartbeat())
        return self._body(self.frame(line, "heartbeat"))

    def end(self, reason: str, message: str, cursor: str) -> Message:
        """The last record."""
        end = tail_pb2.TailEnd(reason=reason, message=message)
        return self._body(self.frame(tail_pb2.TailLine(cursor=cursor, end=end), "end"))

    def frame(self, line: tail_pb2.TailLine, _name: str) -> bytes:
        """One record as bytes."""
        return f"{_json(line)}\n".encode()

    def _render(self, recorded: Recorded) -> bytes:
        organisation_id = recorded.event.organisation_id
        cursor = self._cursors.give(organisation_id, recorded.log_index + 1)
        line = tail_pb2.TailLine(cursor=cursor, event=from_recorded(recorded))
        return self.frame(line, "message")

    def _body(self, data: bytes) -> Message:
        body: Message = HttpBody(content_type=self.content_type, data=data)
        return body


class ServerSentEvents(Lines):
    """As server-sent events (WHATWG HTML, section 9.2)."""

    content_type = SERVER_SENT_EVENTS

    def frame(self, line: tail_pb2.TailLine, name: str) -> bytes:
        """JSON has no line breaks in it, so that one line of data holds it."""
        return f"id: {line.cursor}\nevent: {name}\ndata: {_json(line)}\n\n".encode()


def _heartbeat() -> tail_pb2.TailHeartbeat:
    return tail_pb2.TailHeartbeat(time=timestamp(utc_now()))


def _json(line: tail_pb2.TailLine) -> str:
    """As the gateway prints messages."""
    return MessageToJson(
        line,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
        ensure_ascii=False,
    )
