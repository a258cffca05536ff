"""How long a commit takes to come to those who follow the log: 500 streams on one process.

    python -m benchmarks.tail            prints the table
    python -m benchmarks.tail --streams 100 --events 50

A single event is recorded at a time; for each stream that gets it the time counts from the answer
to RecordEvent, which comes once the event is durable, to its arrival at the reader. The readers
share one process, which is a part of what is measured.
"""

import argparse
import asyncio
import sys
import time
from statistics import median, quantiles
from typing import Any

import grpc.aio
import uvloop

from benchmarks import machine
from benchmarks.events import EventMaker
from benchmarks.system import System, User, running_system
from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc, tail_pb2, tail_pb2_grpc

STREAMS = 500
EVENTS = 40
CHANNELS = 10
PAUSE_S = 0.1
# That somebody follows the log is an event too.
FILTER = 'NOT action = "audit.event.tail"'
LIMIT_S = 60.0


class Readers:
    """All streams, and when the event with each id came to them."""

    def __init__(self, streams: int) -> None:
        self._streams = streams
        self._arrived: dict[str, list[float]] = {}
        self._open = 0
        self._changed = asyncio.Event()

    async def read(self, stub: Any, user: User) -> None:
        """Read one stream until it is cancelled."""
        request = tail_pb2.TailEventsRequest(filter=FILTER)
        call = stub.TailEvents(request, metadata=metadata_of(user))
        async for record in call:
            now = time.perf_counter()
            if record.HasField("heartbeat"):
                self._open += 1
            for event in record.events.events:
                self._arrived.setdefault(event.id, []).append(now)
            self._changed.set()

    async def all_open(self) -> None:
        """Wait until each stream has begun."""
        await self._until(lambda: self._open >= self._streams)

    async def arrivals(self, event_id: str) -> list[float]:
        """When the event came, once it has come to all."""
        await self._until(lambda: len(self._arrived.get(event_id, ())) >= self._streams)
        return self._arrived.pop(event_id)

    async def _until(self, holds: Any) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


def metadata_of(user: User) -> tuple[tuple[str, str], ...]:
    """What a call of this user carries."""
    return (("authorization", f"Bearer {user.access_token}"),)


async def measure(system: System, streams: int, events: int) -> list[float]:
    """The seconds from commit to reader, of each event and stream."""
    user = await system.new_user()
    await system.settled()
    address = system.audit_address
    channels = [
        # A channel of its own each, or gRPC would share one connection.
        grpc.aio.insecure_channel(address, options=[("benchmark.channel", number)])
        for number in range(CHANNELS)
    ]
    readers = Readers(streams)
    stubs: list[Any] = [tail_pb2_grpc.TailServiceStub(channel) for channel in channels]
    tasks = [
        asyncio.create_task(readers.read(stubs[number % CHANNELS], user))
        for number in range(streams)
    ]
    try:
        await readers.all_open()
        return await _record_each(system, user, readers, events)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for channel in channels:
            await channel.close()


async def _record_each(system: System, user: User, readers: Readers, events: int) -> list[float]:
    stub: Any = audit_pb2_grpc.EventServiceStub(system.audit)
    latencies = []
    for event in EventMaker().events(events):
        request = audit_pb2.RecordEventRequest(event=event)
        await stub.RecordEvent(request, metadata=metadata_of(user))
        committed_at = time.perf_counter()
        arrivals = await readers.arrivals(event.id)
        # What comes before the answer does took no time beyond it.
        latencies += [max(0.0, arrived - committed_at) for arrived in arrivals]
        await asyncio.sleep(PAUSE_S)
    return latencies


async def _main(options: argparse.Namespace) -> None:
    async with running_system() as system:
        found = machine.describe(system)
        latencies = await measure(system, options.streams, options.events)
    percentiles = quantiles(latencies, n=100)
    print(
        f"{options.streams} streams, {options.events} events: commit → client "
        f"median {median(latencies) * 1000:.1f} ms, p95 {percentiles[94] * 1000:.1f} ms, "
        f"p99 {percentiles[98] * 1000:.1f} ms, max {max(latencies) * 1000:.1f} ms"
    )
    print(f"{found['cores']} cores, load {found['load']} before, fsync {found['fsync_ms']} ms")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tail", description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--events", type=int, default=EVENTS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
