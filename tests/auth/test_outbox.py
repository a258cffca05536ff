"""Every decision of auth reaches the audit log: in order, once, also after audit was away."""

import asyncio
from uuid import uuid4

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.domain import INSTALLATION
from tests.support.events import checkpoint, leaves_of, settled
from tests.support.world import PASSWORD, refusal, running_world

INSTALLATION_ID = str(INSTALLATION)


async def own_events(world, user):
    """The user's own auth events, the oldest first."""
    answer = await world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=user.metadata)
    return sorted(answer.events, key=lambda event: event.log_index)


async def test_decisions_come_into_the_log_in_their_order(world):
    user = await world.signed_up()
    wrong = auth_pb2.LoginRequest(email=user.email, password="wrong")
    await refusal(world.auth.Login(wrong))
    await world.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token))
    await world.auth.Logout(auth_pb2.LogoutRequest(), metadata=user.metadata)
    reader = await world.login(user.email)
    await settled(world, reader, 6)
    *events, _ = await own_events(world, reader)
    told = [(event.action, event.outcome, event.outcome_reason) for event in events]
    assert told == [
        ("auth.signup", audit_pb2.OUTCOME_SUCCESS, ""),
        ("auth.login", audit_pb2.OUTCOME_SUCCESS, ""),
        ("auth.login", audit_pb2.OUTCOME_DENIED, "CREDENTIALS_INVALID"),
        ("auth.refresh", audit_pb2.OUTCOME_SUCCESS, ""),
        ("auth.logout", audit_pb2.OUTCOME_SUCCESS, ""),
    ]
    assert {event.actor.id for event in events} == {user.id}
    assert events[0].actor.email == user.email
    assert events[0].source == "smart-audit.auth"
    assert events[0].source_address == "127.0.0.1"
    assert "grpc-python" in events[0].user_agent
    assert all(event.metadata["request_id"] for event in events)
    assert PASSWORD not in str(events)


async def test_a_reused_refresh_token_is_told(world):
    user = await world.signed_up()
    await world.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token))
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval '1 minute'"
            " WHERE session_id = %s",
            [user.session_id],
        )
    request = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    await refusal(world.auth.RefreshToken(request))
    reader = await world.login(user.email)
    await settled(world, reader, 5)
    last = (await own_events(world, reader))[-2]
    assert (last.action, last.outcome_reason) == ("auth.refresh", "TOKEN_REUSED")
    assert last.targets[0].id == user.session_id


async def test_what_concerns_nobody_goes_to_the_installations_log(world):
    address = f"{uuid4().hex}@example.com"
    before = len(leaves_of(world, INSTALLATION_ID))
    await refusal(world.auth.Login(auth_pb2.LoginRequest(email=address, password="wrong")))
    for _ in range(250):
        if len(leaves_of(world, INSTALLATION_ID)) > before:
            break
        await asyncio.sleep(0.02)
    leaf = leaves_of(world, INSTALLATION_ID)[-1]
    assert b'"action":"auth.login"' in leaf
    assert b"CREDENTIALS_INVALID" in leaf
    assert address.encode() not in leaf


async def test_the_outbox_is_empty_once_all_is_told(world):
    user = await world.signed_up()
    await settled(world, user)
    for _ in range(250):
        with world.database.connect() as connection:
            (left,) = connection.execute("SELECT count(*) FROM auth.outbox").fetchone()
        if not left:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the outbox did not empty")


async def test_an_event_that_audit_refuses_does_not_hold_up_the_others(cluster):
    async with running_world(cluster.new_database()) as world:
        user = await world.signed_up()
        await settled(world, user)
        with world.database.connect() as connection:
            connection.execute(
                "INSERT INTO auth.outbox (event) SELECT jsonb_build_object("
                "'id', gen_random_uuid(), 'organisation_id', %s::text, 'action', '',"
                "'occurred_at', now(), 'outcome', 'success', 'reason', '', 'actor_id', 'x',"
                "'actor_type', '', 'actor_name', '', 'actor_email', '', 'targets', '[]'::jsonb,"
                "'metadata', '{}'::jsonb, 'client', '{\"address\": \"\", \"user_agent\": \"\"}'"
                "::jsonb)",
                [user.organisation_id],
            )
            await world.login(user.email)
            await settled(world, user, 3)
            for _ in range(250):
                rows = connection.execute("SELECT refusal FROM auth.outbox").fetchall()
                if rows == [("action is required",)]:
                    return
                await asyncio.sleep(0.02)
    raise AssertionError(f"the refused event was not set aside: {rows}")


async def test_logging_in_works_while_audit_is_away_and_is_told_later(cluster):
    database = cluster.new_database()
    async with running_world(database, auth={"audit_address": "127.0.0.1:1"}) as lonely:
        user = await lonely.signed_up()
        assert (await checkpoint(lonely, user)).tree_size == 0
    async with running_world(database) as world:
        await settled(world, user)
        again = await world.login(user.email)
        await settled(world, again, 3)
        events = await own_events(world, again)
    assert [event.action for event in events] == ["auth.signup", "auth.login", "auth.login"]
