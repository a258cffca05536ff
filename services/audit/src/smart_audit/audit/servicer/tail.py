"""TailService: streams that follow a log, from the wire to the use case and back."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NamedTuple

import structlog
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2

from smart_audit.api.audit.v1 import tail_pb2, tail_pb2_grpc
from smart_audit.audit.domain import OrganisationId
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
from smart_audit.core.errors import ReaderTooSlow
from smart_audit.core.rpc.context import (
    current_authorization,
    current_caller,
    current_header,
    current_request_id,
    limit_sending,
    reading,
)
from smart_audit.core.rpc.status import from_exception
from smart_audit.core.tokens import TokenExpired, TokenVerifier, bearer_of

log = structlog.get_logger()

CUT_OFF_AFTER = 3  # times the patience


class TailSettings(NamedTuple):
    """Seconds.

    heartbeat_s: after which a sign of life comes, unless the caller wants another. patience_s: for
    which a reader may take nothing before its stream ends.
    """

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

    def TailEvents(self, request: tail_pb2.TailEventsRequest, context: Any) -> AsyncGenerator[Any]:
        """Follow a log in messages of gRPC."""
        return self._stream(request, self._messages)

    def TailEventsAsLines(
        self, request: tail_pb2.TailEventsRequest, context: Any
    ) -> AsyncGenerator[Any]:
        """Follow a log in lines of JSON."""
        return self._stream(request, self._lines)

    def TailEventsAsServerSentEvents(
        self, request: tail_pb2.TailEventsRequest, context: Any
    ) -> AsyncGenerator[Any]:
        """Follow a log in server-sent events."""
        return self._stream(request, self._server_sent_events)

    async def _stream(
        self, request: tail_pb2.TailEventsRequest, form: Form
    ) -> AsyncGenerator[Message]:
        """The records of a stream. One that has begun ends by a record, not by an error."""
        log_of = organisation()
        wanted = to_wanted(
            request,
            current_header("last-event-id"),
            log_of,
            self._cursors,
            self._settings.heartbeat_s,
        )
        reading({"filter": request.filter})
        patience_s = self._settings.patience_s
        # A reader that has stopped for good cannot be told why; one that comes back can.
        limit_sending(CUT_OFF_AFTER * patience_s)
        records = tail_events(wanted, log_of, self._permission(), self._tails, self._database)
        cursor = ""
        try:
            async with aclosing(records):
                async for record in records:
                    cursor = self._cursors.give(log_of, record.position)
                    sent_at = time.monotonic()
                    yield _message(record, form, cursor)
                    if time.monotonic() - sent_at > patience_s:
                        raise ReaderTooSlow(  # noqa: TRY301
                            f"nothing was read for {patience_s:g} seconds; resume by the cursor"
                        )
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
