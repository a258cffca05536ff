"""Single durable writes: over gRPC against an empty server, and as JSON against gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio
from google.protobuf import json_format

from benchmarks.echo import METHOD
from benchmarks.events import EventMaker
from benchmarks.load import Call, http_post, http_send_all, raw_call, send_all
from benchmarks.measure import Benchmark, Done, Half, Pair, Stopwatch
from benchmarks.system import System
from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.stack import ports

RECORD = "/smart_audit.api.audit.v1.EventService/RecordEvent"
CALLERS = 64
CALLS = 5_000
ECHO_CALLS = 10_000
START_LIMIT_S = 20


@asynccontextmanager
async def single_writes(system: System, scale: float) -> AsyncIterator[Pair]:
    """RecordEvent against a server that does nothing, by the same client."""
    user = await system.new_user()
    (port,) = ports.free_ports(1, taken=set())
    with system.child("benchmarks.echo", str(port)):
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        await asyncio.wait_for(channel.channel_ready(), START_LIMIT_S)
        echo = raw_call(channel, METHOD, user.access_token)
        requests = _requests(round(ECHO_CALLS * scale))

        async def limit() -> Done:
            return await _timed(echo, requests)

        await system.settled()
        record = raw_call(system.audit, RECORD, user.access_token)
        yield Pair(grpc_writes(record, round(CALLS * scale)), limit)
        await channel.close()


@asynccontextmanager
async def json_writes(system: System, scale: float) -> AsyncIterator[Pair]:
    """POST /v1/events through the gateway, over keep-alive connections."""
    user = await system.new_user()
    count = round(CALLS * scale)
    maker = EventMaker()

    async def ours() -> Done:
        bodies = [
            json_format.MessageToJson(event, preserving_proto_field_name=True, indent=None)
            for event in maker.events(count)
        ]
        requests = [http_post("/v1/events", user.access_token, body.encode()) for body in bodies]
        watch = Stopwatch()
        answers = await http_send_all(system.gateway_port, requests, CALLERS)
        return watch.done(len(answers))

    await system.settled()
    yield Pair(ours, grpc_writes(raw_call(system.audit, RECORD, user.access_token), count))


def grpc_writes(record: Call, count: int) -> Half:
    """The half that sends single events."""

    async def half() -> Done:
        return await _timed(record, _requests(count))

    return half


async def _timed(call: Call, requests: list[bytes]) -> Done:
    watch = Stopwatch()
    answers = await send_all(call, requests, CALLERS)
    return watch.done(len(answers))


def _requests(count: int) -> list[bytes]:
    events = EventMaker().events(count)
    return [audit_pb2.RecordEventRequest(event=event).SerializeToString() for event in events]


SINGLE_WRITES = Benchmark(
    "single durable writes, gRPC",
    "calls/s",
    "an empty gRPC server",
    single_writes,
)
JSON_WRITES = Benchmark(
    "single durable writes, JSON",
    "calls/s",
    "the same writes, direct gRPC",
    json_writes,
)
