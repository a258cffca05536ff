"""TailService: streams that follow a log, from the wire to the use case and back."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, NamedTuple, cast

import structlog
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from smart_audit.api.audit.v1 import tail_pb2, tail_pb2_grpc
from smart_audit.audit.domain import OrganisationId
from smart_audit.audit.errors import TailTooSlow
from smart_audit.audit.messages.tail import (
    Form,
    Lines,
    Messages,
    ServerSentEvents,
    to_wanted,
)
from smart_audit.audit.repository import Database
from smart_audit.audit.servicer.caller import organisation
from smart_audit.audit.tail.cursors import Cursors
from smart_audit.audit.tail.tails import Tails
from smart_audit.audit.use_cases.tail_events import Found, Heartbeat, Permission, tail_events
from smart_audit.core.rpc.context import (
    current_authorization,
    current_caller,
    current_header,
    current_request_id,
    reading,
)
from smart_audit.core.rpc.status import from_exception
from smart_audit.core.tokens import TokenExpired, TokenVerifier, bearer_of

log = structlog.get_logger()

# A reader that has stopped for good cannot be told why: its stream is cut off in the end.
CUT_OFF_AFTER = 3  # times the patience


class TailSettings(NamedTuple):
    """heartbeat_s: unless the caller wants another. patience_s: see `Patience`."""

    heartbeat_s: float
    patience_s: float


class TailServicer(tail_pb2_grpc.TailServiceServicer):
    """Follows logs."""

    def __init__(
        self,
        database: Database,
        tails: Tails,
        verifier: TokenVerifier,
        cursors: Cursors,
        settings: TailSettings,
    ) -> None:
        self._database = database
        self._tails = tails
        self._verifier = verifier
        self._cursors = cursors
        self._settings = settings
        self._messages = Messages()
        self._lines = Lines(cursors)
        self._server_sent_events = ServerSentEvents(cursors)

    async def TailEvents(
        self, request: tail_pb2.TailEventsRequest, context: Any
    ) -> AsyncIterator[Any]:
        """Follow a log in messages of gRPC."""
        async with aclosing(self._stream(request, self._messages)) as stream:
            async for message in stream:
                yield message

    async def TailEventsAsLines(
        self, request: tail_pb2.TailEventsRequest, context: Any
    ) -> AsyncIterator[Message]:
        """Follow a log in lines of JSON."""
        async with aclosing(self._stream(request, self._lines)) as stream:
            async for message in stream:
                yield message

    async def TailEventsAsServerSentEvents(
        self, request: tail_pb2.TailEventsRequest, context: Any
    ) -> AsyncIterator[Message]:
        """Follow a log in server-sent events."""
        async with aclosing(self._stream(request, self._server_sent_events)) as stream:
            async for message in stream:
                yield message

    async def _stream(
        self, request: tail_pb2.TailEventsRequest, form: Form
    ) -> AsyncGenerator[Message]:
        """The records of a stream. One that has begun ends by a record, not by an error."""
        log_of = organisation()
        reading({"filter": request.filter})
        wanted = to_wanted(
            request,
            current_header("last-event-id"),
            log_of,
            self._cursors,
            self._settings.heartbeat_s,
        )
        patience = Patience(self._settings.patience_s)
        records = tail_events(wanted, log_of, self._permission(), self._tails, self._database)
        cursor = ""
        try:
            async with aclosing(records):
                async for record in records:
                    cursor = self._cursors.give(log_of, record.position)
                    with patience.while_sent():
                        yield _message(record, form, cursor)
                    patience.check()
        except Exception as error:
            if not cursor:
                raise
            yield form.end(*_why(error, log_of), cursor)

    def _permission(self) -> Permission:
        """That of the running call's token."""
        token = bearer_of(current_authorization()) or ""
        expires_at = current_caller().expires_at

        async def check() -> None:
            if time.time() >= expires_at:
                raise TokenExpired("the access token has expired; refresh it, resume by the cursor")
            await self._verifier.verify(token)

        return Permission(check, expires_at)


class Patience:
    """How long a stream waits for its reader to take a message.

    A reader that takes it late is told, and that ends the stream; one that takes nothing for
    `CUT_OFF_AFTER` times as long is cut off. It resumes by the cursor that it has.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._late = False

    @contextmanager
    def while_sent(self) -> Iterator[None]:
        """Watch over the sending of a message, in the task of the call."""
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        loop = asyncio.get_running_loop()
        started = loop.time()
        cut_off = loop.call_later(CUT_OFF_AFTER * self._seconds, task.cancel)
        try:
            yield
        finally:
            cut_off.cancel()
            self._late = loop.time() - started > self._seconds

    def check(self) -> None:
        """Raises: TailTooSlow."""
        if self._late:
            raise TailTooSlow(
                f"nothing was read for {self._seconds:g} seconds; resume by the cursor"
            )


def _message(record: Found | Heartbeat, form: Form, cursor: str) -> Message:
    if isinstance(record, Found):
        return form.found(record.events, cursor)
    return form.heartbeat(cursor)


def _why(error: Exception, organisation_id: OrganisationId) -> tuple[str, str]:
    """The reason and the message of a stream's end; what is not a refusal is masked."""
    status = from_exception(error, current_request_id())
    if status.code == code_pb2.INTERNAL:
        log.error("tail.crashed", organisation_id=str(organisation_id), exc_info=error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            break
    return info.reason, status.message
