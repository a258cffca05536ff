"""Ours against what most teams would build (see `baseline.py`)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from google.protobuf import json_format
from sqlalchemy import make_url

from benchmarks.baseline import create_tables, drop_tables
from benchmarks.events import EventMaker
from benchmarks.ingest import BATCH, BATCHES, RECORD, check_answer, encode_batch
from benchmarks.ingest import CALLERS as BATCH_CALLERS
from benchmarks.load import http_post, http_send_all, raw_call, send_all
from benchmarks.measure import Benchmark, Done, Half, Pair, Stopwatch
from benchmarks.system import System
from benchmarks.writes import CALLERS, CALLS, grpc_writes
from benchmarks.writes import RECORD as RECORD_ONE
from smart_audit.stack import ports

START_LIMIT_S = 20.0


@asynccontextmanager
async def single(system: System, scale: float) -> AsyncIterator[Pair]:
    """RecordEvent against POST /events, 64 in flight each."""
    user = await system.new_user()
    async with _baseline(system, scale) as limit:
        await system.settled()
        record = raw_call(system.audit, RECORD_ONE, user.access_token)
        yield Pair(grpc_writes(record, round(CALLS * scale)), limit)


@asynccontextmanager
async def batch(system: System, scale: float) -> AsyncIterator[Pair]:
    """RecordEvents against POST /events, which knows no batches."""
    user = await system.new_user()
    call = raw_call(system.audit, RECORD, user.access_token)
    maker = EventMaker()

    async def ours() -> Done:
        requests = [encode_batch(maker) for _ in range(max(1, round(BATCHES * scale)))]
        watch = Stopwatch()
        answers = await send_all(call, requests, BATCH_CALLERS)
        done = watch.done(len(answers) * BATCH)
        for answer in answers:
            check_answer(answer)
        return done

    async with _baseline(system, scale) as limit:
        await system.settled()
        yield Pair(ours, limit)


@asynccontextmanager
async def _baseline(system: System, scale: float) -> AsyncIterator[Half]:
    """The baseline, running on the same Postgres; gives the half that loads it."""
    url = make_url(system.owner_url).set(drivername="postgresql+psycopg")
    text = url.render_as_string(hide_password=False)
    create_tables(text)
    (port,) = ports.free_ports(1, taken=set())
    try:
        with system.child("benchmarks.baseline", str(port), BASELINE_DATABASE_URL=text):
            await _answering(port)
            maker = EventMaker()

            async def limit() -> Done:
                requests = [
                    http_post("/events", "", _body(event))
                    for event in maker.events(round(CALLS * scale))
                ]
                watch = Stopwatch()
                return watch.done(len(await http_send_all(port, requests, CALLERS)))

            yield limit
    finally:
        drop_tables(text)


def _body(event: object) -> bytes:
    message = json_format.MessageToDict(event, preserving_proto_field_name=True)  # type: ignore[arg-type]
    return orjson.dumps(message)


async def _answering(port: int) -> None:
    until = time.monotonic() + START_LIMIT_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


AGAINST_BASELINE_SINGLE = Benchmark(
    "single durable writes against a baseline",
    "calls/s",
    "FastAPI and SQLAlchemy, a commit an event",
    single,
)
AGAINST_BASELINE_BATCH = Benchmark(
    "batch ingest against a baseline",
    "events/s",
    "FastAPI and SQLAlchemy, a commit an event",
    batch,
)
