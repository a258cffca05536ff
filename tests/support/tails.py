"""Streams that follow a log, read record by record."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from smart_audit.api.audit.v1 import tail_pb2, tail_pb2_grpc
from tests.support.world import World

LIMIT_S = 30
# What tests record. That somebody follows the log is an event too.
OURS = 'action = "document.delete"'


class Stream:
    """A stream over gRPC."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.cursor = ""
        """Of the last record that was read."""

    async def record(self) -> tail_pb2.TailEventsResponse:
        """The next record, whatever it is. Raises: EOFError at the end of the stream."""
        async with asyncio.timeout(LIMIT_S):
            record = await self.call.read()
        if not isinstance(record, tail_pb2.TailEventsResponse):
            raise EOFError("the stream has ended")  # noqa: TRY004
        self.cursor = record.cursor
        return record

    async def events(self, count: int) -> list[Any]:
        """The next events, so many, without the heartbeats between them."""
        found: list[Any] = []
        # Heartbeats would go on for ever.
        async with asyncio.timeout(LIMIT_S):
            while len(found) < count:
                record = await self.record()
                if record.HasField("end"):
                    raise EOFError(record.end.reason)
                found += record.events.events
        return found

    async def end(self) -> tail_pb2.TailEnd:
        """The last record, past all that comes before it."""
        async with asyncio.timeout(LIMIT_S):
            while not (record := await self.record()).HasField("end"):
                pass
            assert not isinstance(await self.call.read(), tail_pb2.TailEventsResponse)
        return record.end


@asynccontextmanager
async def tailing(world: World, metadata: Any, **request: Any) -> AsyncIterator[Stream]:
    """Follow a log; once the context is entered, what is recorded comes; `OURS` is the filter."""
    stub: Any = tail_pb2_grpc.TailServiceStub(world.audit_channel)
    call = stub.TailEvents(
        tail_pb2.TailEventsRequest(**{"filter": OURS, **request}), metadata=metadata
    )
    stream = Stream(call)
    try:
        if not {"cursor", "from_start", "since"} & set(request):
            first = await stream.record()
            assert first.HasField("heartbeat")
        yield stream
    finally:
        call.cancel()
