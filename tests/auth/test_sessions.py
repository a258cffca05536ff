"""A person's own sessions, and how the end of one reaches every service."""

import asyncio
import time
from functools import partial

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2, sessions_pb2, sessions_pb2_grpc
from tests.support.events import settled
from tests.support.world import ended_within, refusal

UNKNOWN = "01890000-0000-7000-8000-000000000000"


async def sessions_of(world, user):
    answer = await world.sessions.ListSessions(
        sessions_pb2.ListSessionsRequest(), metadata=user.metadata
    )
    return list(answer.sessions)


async def revoke(world, user, session_id):
    request = sessions_pb2.RevokeSessionRequest(session_id=session_id)
    return await world.sessions.RevokeSession(request, metadata=user.metadata)


async def test_a_person_sees_all_sessions_the_last_used_first(world):
    first = await world.new_user()
    second = await world.login(first.email)
    await world.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=first.refresh_token))
    found = await sessions_of(world, second)
    assert [one.id for one in found] == [first.session_id, second.session_id]
    assert [one.current for one in found] == [False, True]
    one = found[0]
    assert one.organisation_id == first.organisation_id
    assert (one.address, list(one.amr)) == ("127.0.0.1", ["pwd"])
    assert "grpc-python" in one.user_agent
    assert one.device
    times = [one.created_at, one.authenticated_at, one.last_used_at, one.expires_at]
    assert [time.ToMicroseconds() for time in times] == sorted(
        time.ToMicroseconds() for time in times
    )


async def test_a_revoked_session_is_refused_by_both_services_within_a_second(world):
    stolen = await world.new_user()
    owner = await world.login(stolen.email)
    await world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=stolen.metadata)
    await revoke(world, owner, stolen.session_id)
    await asyncio.gather(
        ended_within(
            lambda: world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=stolen.metadata)
        ),
        ended_within(lambda: sessions_of(world, stolen)),
    )
    request = auth_pb2.RefreshTokenRequest(refresh_token=stolen.refresh_token)
    assert (await refusal(world.auth.RefreshToken(request))).reason == "SESSION_ENDED"
    assert [one.id for one in await sessions_of(world, owner)] == [owner.session_id]


async def test_all_other_sessions_end_at_once(world):
    owner = await world.new_user()
    others = [await world.login(owner.email) for _ in range(2)]
    answer = await world.sessions.RevokeOtherSessions(
        sessions_pb2.RevokeOtherSessionsRequest(), metadata=owner.metadata
    )
    assert answer.ended == 2
    for other in others:
        await ended_within(partial(sessions_of, world, other))
    assert len(await sessions_of(world, owner)) == 1


async def test_a_session_of_somebody_else_is_as_one_that_is_not_there(world):
    mine, theirs = await world.new_user(), await world.new_user()
    refusals = [await refusal(revoke(world, mine, id_)) for id_ in (theirs.session_id, UNKNOWN)]
    for refused, session_id in zip(refusals, (theirs.session_id, UNKNOWN), strict=True):
        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert (refused.reason, refused.metadata) == (
            "SESSION_NOT_FOUND",
            {"session_id": session_id},
        )
    assert refusals[0].message == refusals[1].message
    assert await sessions_of(world, theirs)


async def test_an_end_of_more_sessions_than_an_event_can_name_is_told_too(world):
    owner = await world.new_user()
    world.database.execute(
        "INSERT INTO auth.sessions (id, user_id, organisation_id, created_at, expires_at,"
        " authenticated_at, last_used_at) SELECT gen_random_uuid(), user_id, organisation_id,"
        " created_at, expires_at, authenticated_at, last_used_at"
        " FROM auth.sessions, generate_series(1, 70) WHERE id = %s",
        owner.session_id,
    )
    answer = await world.sessions.RevokeOtherSessions(
        sessions_pb2.RevokeOtherSessionsRequest(), metadata=owner.metadata
    )
    assert answer.ended == 70
    await settled(world, owner, 2)
    request = audit_pb2.ListEventsRequest(action="auth.session.revoke_others")
    (told,) = (await world.events.ListEvents(request, metadata=owner.metadata)).events
    assert (len(told.targets), told.metadata["targets_left_out"]) == (64, 6)


async def test_ends_of_sessions_and_refusals_of_them_are_events(world):
    owner = await world.new_user()
    other = await world.login(owner.email)
    await revoke(world, owner, other.session_id)
    await refusal(revoke(world, owner, other.session_id))
    await settled(world, owner, 4)
    answer = await world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=owner.metadata)
    told = [event for event in answer.events if event.action == "auth.session.revoke"]
    denied, ended = told
    assert (ended.outcome, ended.targets[0].id) == (audit_pb2.OUTCOME_SUCCESS, other.session_id)
    assert (denied.outcome, denied.outcome_reason) == (
        audit_pb2.OUTCOME_DENIED,
        "SESSION_NOT_FOUND",
    )
    assert {event.actor.id for event in told} == {owner.id}


async def test_revocations_go_on_after_the_feed_lost_its_connection(world):
    owner = await world.new_user()
    other = await world.login(owner.email)
    with world.database.connect() as connection:
        cut = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'smart-audit-auth-revocations' AND datname = %s",
            [world.database.name],
        ).fetchall()
    assert cut == [(True,)]
    await revoke(world, owner, other.session_id)
    await ended_within(lambda: sessions_of(world, other), 2)


async def test_a_watcher_learns_all_that_matters_then_what_is_new(world):
    owner = await world.new_user()
    others = [await world.login(owner.email) for _ in range(2)]
    await revoke(world, owner, others[0].session_id)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.auth_port}") as channel:
        stub = sessions_pb2_grpc.RevocationServiceStub(channel)
        call = stub.WatchRevocations(sessions_pb2.WatchRevocationsRequest())
        known = {one.key for one in (await call.read()).revocations}
        assert known
        await revoke(world, owner, others[1].session_id)
        fresh = []
        while not fresh:
            fresh = [one for one in (await call.read()).revocations if one.key not in known]
        call.cancel()
    assert len(fresh[0].key) == 16
    assert abs(fresh[0].revoked_at_ms / 1000 - time.time()) < 5
    assert others[1].session_id.encode() not in fresh[0].key


async def test_the_gateway_does_not_know_the_feed(gateway):
    user = await gateway.world.new_user()
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        stub = sessions_pb2_grpc.RevocationServiceStub(channel)
        request = sessions_pb2.WatchRevocationsRequest()
        call = stub.WatchRevocations(request, metadata=user.metadata)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call.read()
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_gateway_refuses_a_revoked_session_and_lists_sessions_as_json(gateway):
    world = gateway.world
    owner = await world.new_user()
    other = await world.login(owner.email)
    headers = dict(owner.metadata)
    listed = (await gateway.http.get("/v1/auth/sessions", headers=headers)).json()
    assert {one["id"] for one in listed["sessions"]} == {owner.session_id, other.session_id}
    path = f"/v1/auth/sessions/{other.session_id}"
    assert (await gateway.http.delete(path, headers=headers)).status_code == 200
    for _ in range(100):
        answer = await gateway.http.get("/v1/events", headers=dict(other.metadata))
        if answer.status_code == 401:
            break
        await asyncio.sleep(0.01)
    assert answer.json()["details"][0]["reason"] == "SESSION_ENDED"
