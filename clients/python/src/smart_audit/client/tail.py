"""Following a log live, for as long as the session lives, past every break on the way."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import grpc

from smart_audit.api.audit.v1 import tail_pb2
from smart_audit.client.connection import Connection, ignore_trouble, pauses
from smart_audit.client.errors import CallError, call_error

# The service gives a sign of life each minute at the latest; without any the stream is dead.
SILENCE_S: Final = 90.0

_RESUMED: Final = frozenset({"SERVICE_STOPPING", "UNAVAILABLE", "READER_TOO_SLOW"})
_RENEWED: Final = frozenset({"TOKEN_EXPIRED", "TOKEN_INVALID"})
_CODES: Final = {
    "SESSION_ENDED": grpc.StatusCode.UNAUTHENTICATED,
    "LOG_DAMAGED": grpc.StatusCode.DATA_LOSS,
    **dict.fromkeys(_RENEWED, grpc.StatusCode.UNAUTHENTICATED),
    **dict.fromkeys(_RESUMED, grpc.StatusCode.UNAVAILABLE),
}


async def tail(
    connection: Connection,
    request: tail_pb2.TailEventsRequest,
    on_trouble: Callable[[CallError], None] = ignore_trouble,
) -> AsyncGenerator[tail_pb2.TailEventsResponse]:
    """The events of a log in its order, and heartbeats, without end; each event at least once.

    Keep the `cursor` of the last record that you have handled: a request with it goes on behind it.
    While the service is away it tries on, and tells `on_trouble` each time.
    Raises: CallError when the stream cannot go on, as when the session has ended or the request is
    wrong.
    """
    resumed = tail_pb2.TailEventsRequest()
    resumed.CopyFrom(request)
    waits = pauses()
    while True:
        try:
            async with aclosing(_once(connection, resumed)) as records:
                async for record in records:
                    yield record
                    resumed.cursor = record.cursor
                    waits = pauses()
        except CallError as error:
            if error.reason in _RENEWED and connection.is_renewable:
                await connection.authenticate()
            elif not error.may_pass and error.reason != "TAIL_LIMIT_REACHED":
                raise
            on_trouble(error)
        except TimeoutError:
            pass  # a broken network tells nobody
        await asyncio.sleep(next(waits))


async def _once(
    connection: Connection, request: tail_pb2.TailEventsRequest
) -> AsyncGenerator[tail_pb2.TailEventsResponse]:
    """One stream. Raises: CallError, also for an end that the stream tells; TimeoutError."""
    answers = connection.stream(connection.tails.TailEvents, request, SILENCE_S)
    async with aclosing(answers):
        async for record in answers:
            if record.HasField("end"):
                code = _CODES.get(record.end.reason, grpc.StatusCode.UNKNOWN)
                raise call_error(code, record.end.message, record.end.reason)
            yield record
