"""Batch ingest against COPY: how much the tree, the proofs and Python cost over bare storage."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from benchmarks.events import EventMaker
from benchmarks.load import raw_call, send_all
from benchmarks.measure import Benchmark, Done, Pair, Stopwatch
from benchmarks.system import System
from smart_audit.api.audit.v1 import audit_pb2

RECORD = "/smart_audit.api.audit.v1.EventService/RecordEvents"
BATCH = 500
BATCHES = 40
CALLERS = 6

# The same columns, constraints, indexes and partitioning, without what guards the rows.
SCRATCH = """
CREATE SCHEMA scratch;
CREATE TABLE scratch.entries (LIKE audit.entries INCLUDING ALL);
CREATE TABLE scratch.payloads (LIKE audit.payloads INCLUDING ALL)
    PARTITION BY RANGE (recorded_at);
CREATE TABLE scratch.payloads_now PARTITION OF scratch.payloads DEFAULT;
CREATE TABLE scratch.entry_targets (LIKE audit.entry_targets INCLUDING ALL)
    PARTITION BY RANGE (recorded_at);
CREATE TABLE scratch.entry_targets_now PARTITION OF scratch.entry_targets DEFAULT;
"""
TABLES = ("entries", "payloads", "entry_targets")

COMMITS = """
SELECT lag(tree_size, 1, %(first)s) OVER (ORDER BY tree_size), tree_size FROM (
    SELECT DISTINCT tree_size FROM audit.entries
    WHERE organisation_id = %(organisation)s AND log_index >= %(first)s
) AS sizes
"""
ROWS = """
COPY (SELECT * FROM audit.{table} WHERE organisation_id = '{organisation}'
    AND log_index >= {first} AND log_index < {end}) TO STDOUT (FORMAT binary)
"""


@asynccontextmanager
async def batch_ingest(system: System, scale: float) -> AsyncIterator[Pair]:
    """RecordEvents into one log; COPY then stores the very rows that the round has made."""
    user = await system.new_user()
    await system.settled()
    call = raw_call(system.audit_workers, RECORD, user.access_token)
    maker = EventMaker()
    with system.connect() as connection:
        connection.execute(SCRATCH)
        copied_to = _size(connection, user.organisation_id)

        async def ours() -> Done:
            requests = [encode_batch(maker) for _ in range(max(1, round(BATCHES * scale)))]
            watch = Stopwatch()
            answers = await send_all(call, requests, CALLERS)
            done = watch.done(len(answers) * BATCH)
            for answer in answers:
                check_answer(answer)
            return done

        async def limit() -> Done:
            nonlocal copied_to
            commits = _stored(connection, user.organisation_id, copied_to)
            first, copied_to = copied_to, _size(connection, user.organisation_id)
            watch = Stopwatch()
            for commit in commits:
                _copy(connection, commit)
            return watch.done(copied_to - first)

        yield Pair(ours, limit)
        connection.execute("DROP SCHEMA scratch CASCADE")


def encode_batch(maker: EventMaker) -> bytes:
    """A request with the next batch."""
    return audit_pb2.RecordEventsRequest(events=maker.events(BATCH)).SerializeToString()


def check_answer(answer: bytes) -> None:
    """Raises: RuntimeError when an event was refused."""
    results = audit_pb2.RecordEventsResponse.FromString(answer).results
    refused = [result.refusal for result in results if not result.HasField("receipt")]
    if refused or len(results) != BATCH:
        raise RuntimeError(f"events were refused: {refused[:1]}")


def _size(connection: psycopg.Connection[Any], organisation_id: str) -> int:
    """How many entries the log has."""
    row = connection.execute(
        "SELECT size FROM audit.logs WHERE organisation_id = %s", [organisation_id]
    ).fetchone()
    return row[0] if row else 0


def _stored(
    connection: psycopg.Connection[Any], organisation_id: str, first: int
) -> list[dict[str, bytes]]:
    """What each commit since entry `first` has stored: by table, rows in COPY's binary form.

    All entries of a commit have its tree size.
    """
    commits = connection.execute(
        COMMITS, {"organisation": organisation_id, "first": first}
    ).fetchall()
    return [
        {table: _rows(connection, table, organisation_id, start, end) for table in TABLES}
        for start, end in commits
    ]


def _rows(
    connection: psycopg.Connection[Any], table: str, organisation: str, first: int, end: int
) -> bytes:
    query = ROWS.format(table=table, organisation=organisation, first=first, end=end)
    with connection.cursor().copy(query) as copy:
        return b"".join(bytes(part) for part in copy)


def _copy(connection: psycopg.Connection[Any], commit: dict[str, bytes]) -> None:
    with connection.transaction():
        for table, rows in commit.items():
            with connection.cursor().copy(
                f"COPY scratch.{table} FROM STDIN (FORMAT binary)"
            ) as copy:
                copy.write(rows)


INGEST = Benchmark(
    "batch ingest, gRPC",
    "events/s",
    "binary COPY of the same rows",
    batch_ingest,
)
