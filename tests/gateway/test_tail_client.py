"""The client's stream goes on past the end of its token, and ends with its session."""

import asyncio
import time
from contextlib import aclosing

import pytest

from smart_audit.api.audit.v1 import tail_pb2
from smart_audit.api.auth.v1 import sessions_pb2
from smart_audit.client.connection import Connection, Session
from smart_audit.client.errors import CallError
from smart_audit.client.tail import tail
from tests.support.events import event, record, settled
from tests.support.tails import OURS
from tests.support.tokens import forged

LIMIT_S = 60


async def next_event(records):
    async with asyncio.timeout(LIMIT_S):
        while not (found := (await anext(records)).events.events):
            pass
    (only,) = found
    return only.id


async def test_a_stream_outlives_its_token_and_ends_with_its_session(gateway):
    world = gateway.world
    user = await world.new_user()
    await settled(world, user)
    expires_at = int(time.time()) + 5
    session = Session(forged(world, user, exp=expires_at), user.refresh_token)
    troubles = []
    async with Connection(gateway.address, session) as connection:
        request = tail_pb2.TailEventsRequest(filter=OURS, heartbeat_seconds=60)
        async with aclosing(tail(connection, request, troubles.append)) as records:
            assert (await anext(records)).HasField("heartbeat")
            for wait_s in (0, max(0.0, expires_at + 0.5 - time.time())):
                await asyncio.sleep(wait_s)
                message = event()
                await record(world, user, message)
                assert await next_event(records) == message.id
            assert [trouble.reason for trouble in troubles] == ["TOKEN_EXPIRED"]
            again = await world.login(user.email)
            revoke = sessions_pb2.RevokeSessionRequest(session_id=user.session_id)
            await world.sessions.RevokeSession(revoke, metadata=again.metadata)
            with pytest.raises(CallError) as raised:
                await next_event(records)
    assert raised.value.reason == "SESSION_ENDED"
