"""The live tail: how long after it was sent in an event reaches who follows the log."""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any

from benchmarks.events import EventMaker
from benchmarks.finding.large_log import LargeLog
from benchmarks.finding.lines import Line, Times
from smart_audit.api.audit.v1 import audit_pb2, tail_pb2, tail_pb2_grpc

GOAL_MS = 100
EVENTS = 40  # of each round
PAUSE_S = 0.05
PATIENCE_S = 30.0
RECORD = "EventService/RecordEvent"
FILTERS = ("", "outcome=SUCCESS OR outcome=FAILURE OR outcome=DENIED", 'source="billing-api"')
"""What the tails ask for; all of them match all events that are sent."""


async def measure(log: LargeLog, rounds: int) -> list[Line]:
    """Events are recorded one by one, while a tail for each filter is open.

    The clock starts when an event is sent in, so that to record it is part of the time.
    """
    times = Times()
    maker, record = EventMaker(), log.call(RECORD)
    await log.until_level()
    tails = [_Tail(log, text) for text in FILTERS]
    async with asyncio.timeout(PATIENCE_S * (rounds + 1)):
        for tail in tails:
            await tail.begun()
        for round_ in range(rounds + 1):
            for event in maker.events(EVENTS):
                request = audit_pb2.RecordEventRequest(event=event).SerializeToString()
                started = perf_counter()
                answer = asyncio.create_task(record(request))
                for tail in tails:
                    arrived = await tail.arrival(event.id)
                    if round_:
                        name = tail.text or "no filter"
                        times.taken.setdefault(name, []).append(arrived - started)
                await answer
                await asyncio.sleep(PAUSE_S)
    for tail in tails:
        tail.end()
    return [times.line("tail, from sending in to arrival", GOAL_MS)]


class _Tail:
    """One open tail, and when events arrived by it."""

    def __init__(self, log: LargeLog, text: str) -> None:
        self.text = text
        stub: Any = tail_pb2_grpc.TailServiceStub(log.system.audit_workers)
        metadata = (("authorization", f"Bearer {log.user.access_token}"),)
        self._stream: Any = stub.TailEvents(
            tail_pb2.TailEventsRequest(filter=text), metadata=metadata
        )
        self._records: AsyncIterator[Any] = aiter(self._stream)
        self._arrived: dict[str, float] = {}

    async def begun(self) -> None:
        """Wait for the first record, which is a heartbeat."""
        await anext(self._records)

    async def arrival(self, event_id: str) -> float:
        """When an event arrived. Raises: RuntimeError when the tail has ended."""
        while event_id not in self._arrived:
            record = await anext(self._records)
            now = perf_counter()
            if record.HasField("end"):
                raise RuntimeError(f"the tail has ended: {record.end.message}")
            self._arrived.update({event.id: now for event in record.events.events})
        return self._arrived.pop(event_id)

    def end(self) -> None:
        """Hang up."""
        self._stream.cancel()
