"""Streams through a real Envoy: lines for curl, server-sent events for browsers."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from smart_audit.api.auth.v1 import sessions_pb2
from tests.support.events import event, record, record_batch, settled
from tests.support.logs import record_no_reads
from tests.support.tails import OURS

LIMIT_S = 30
LINES, SERVER_SENT_EVENTS = "/v1/events:tail", "/v1/events:sse"


@pytest.fixture
async def user(gateway):
    user = await gateway.world.new_user()
    await settled(gateway.world, user)
    return user


@asynccontextmanager
async def streamed(gateway, user, path, headers=(), **parameters):
    """The lines of an answer, as they come."""
    headers = {"authorization": f"Bearer {user.access_token}", **dict(headers)}
    parameters = {"filter": OURS, **parameters}
    async with gateway.http.stream("GET", path, params=parameters, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        yield answer, answer.aiter_lines()


async def next_line(lines):
    async with asyncio.timeout(LIMIT_S):
        return await anext(lines)


async def next_frame(lines):
    """The fields of a server-sent event."""
    fields = {}
    while line := await next_line(lines):
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


async def test_lines_come_one_by_one_over_http_1(gateway, user):
    record_no_reads(gateway.world.database, user.organisation_id)
    async with streamed(gateway, user, LINES) as (answer, lines):
        assert answer.http_version == "HTTP/1.1"
        assert answer.headers["content-type"] == "application/x-ndjson"
        first = json.loads(await next_line(lines))
        assert set(first) == {"cursor", "heartbeat"}
        for _ in range(3):
            message = event()
            await record(gateway.world, user, message)
            line = json.loads(await next_line(lines))
            assert line["event"]["id"] == message.id
    read = await gateway.http.get(
        f"/v1/events/{message.id}", headers={"authorization": f"Bearer {user.access_token}"}
    )
    assert line["event"] == read.json()["event"]
    async with streamed(gateway, user, LINES, cursor=first["cursor"]) as (_, lines):
        resumed = [json.loads(await next_line(lines)) for _ in range(3)]
    assert resumed[2] == line


async def test_an_end_in_mid_stream_is_told_by_the_last_line(gateway, user):
    world = gateway.world
    async with streamed(gateway, user, LINES, heartbeat_seconds=60) as (_, lines):
        await next_line(lines)
        again = await world.login(user.email)
        revoke = sessions_pb2.RevokeSessionRequest(session_id=user.session_id)
        await world.sessions.RevokeSession(revoke, metadata=again.metadata)
        async with asyncio.timeout(LIMIT_S):
            rest = [json.loads(line) async for line in lines]
    assert rest[-1]["end"]["reason"] == "SESSION_ENDED"
    assert rest[-1]["cursor"]


async def test_server_sent_events_carry_their_cursor_as_id(gateway, user):
    record_no_reads(gateway.world.database, user.organisation_id)
    async with streamed(gateway, user, SERVER_SENT_EVENTS) as (answer, lines):
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = await next_frame(lines)
        assert first["event"] == "heartbeat"
        message = event(actor={"id": "u_1", "name": "Zoë\nTwo"})
        await record(gateway.world, user, message)
        frame = await next_frame(lines)
    assert frame["event"] == "message"
    data = json.loads(frame["data"])
    assert data["event"]["actor"]["name"] == "Zoë\nTwo"
    assert data["cursor"] == frame["id"]
    # As EventSource does it: the same address, and the last id in a header.
    resumed = {"last-event-id": first["id"]}
    async with streamed(gateway, user, SERVER_SENT_EVENTS, resumed) as (_, lines):
        again = await next_frame(lines)
    assert again == frame


async def test_what_cannot_be_followed_is_refused_with_a_status(gateway, user):
    headers = {"authorization": f"Bearer {user.access_token}"}
    for path in (LINES, SERVER_SENT_EVENTS):
        assert (await gateway.http.get(path)).status_code == 401
        for wrong in ({"filter": "outcome ="}, {"cursor": "x"}, {"heartbeat_seconds": "99"}):
            answer = await gateway.http.get(path, params=wrong, headers=headers)
            assert answer.status_code == 400
            assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.soak
async def test_readers_that_have_stopped_hold_up_nobody(gateway, user):
    """Each could hold more than a connection between gateway and service has room for."""
    big = {"text": "x" * 200_000}
    for _ in range(15):
        await record_batch(gateway.world, user, [event(metadata=big) for _ in range(10)])
    host, _, port = gateway.address.partition(":")
    request = (
        f"GET {LINES}?from_start=true HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Bearer {user.access_token}\r\n\r\n"
    )
    stopped = [await asyncio.open_connection(host, int(port), limit=1024) for _ in range(3)]
    for _, writer in stopped:
        writer.write(request.encode())
    for _ in range(20):
        headers = {"authorization": f"Bearer {user.access_token}"}
        answer = await gateway.http.get("/v1/log/checkpoint", headers=headers, timeout=LIMIT_S)
        assert answer.status_code == 200
        await asyncio.sleep(0.5)
    for _, writer in stopped:
        writer.transport.abort()
