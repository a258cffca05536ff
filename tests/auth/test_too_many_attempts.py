"""Who tries too often is refused at the wire: by all replicas, without work, and told once."""

import asyncio
import time
from collections import Counter
from uuid import uuid4

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from smart_audit.api.auth.v1 import auth_pb2, organisations_pb2
from smart_audit.auth.domain import INSTALLATION
from tests.auth.test_signup_and_login import count_hashes, signup
from tests.support.cache import elapse
from tests.support.redis import running_redis
from tests.support.world import refusal, running_world

FREE = 10


def login(email, password="wrong"):
    return auth_pb2.LoginRequest(email=email, password=password)


def somebody():
    return f"{uuid4().hex}@{uuid4().hex}.test"


async def reasons(world, email, times):
    return [(await refusal(world.auth.Login(login(email)))).reason for _ in range(times)]


@pytest.mark.parametrize("known", [True, False])
async def test_the_eleventh_wrong_password_is_not_even_hashed(world, monkeypatch, known):
    email = (await world.new_user()).email if known else somebody()
    assert await reasons(world, email, FREE) == ["CREDENTIALS_INVALID"] * FREE
    calls = count_hashes(monkeypatch)
    refused = await refusal(world.auth.Login(login(email)))
    assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.reason == "TOO_MANY_ATTEMPTS"
    assert refused.metadata == {"retry_after_s": "1"}
    assert refused.message == "too many attempts; try again in 1 seconds"
    assert calls == []


async def test_the_right_password_has_to_wait_too_and_then_clears_the_count(world):
    user = await world.new_user()
    await reasons(world, user.email, FREE)
    with pytest.raises(grpc.aio.AioRpcError):
        await world.login(user.email)
    with world.database.connect() as connection:
        elapse(connection, 1)
    assert (await world.login(user.email)).id == user.id
    assert "TOO_MANY_ATTEMPTS" not in await reasons(world, user.email, FREE)


async def test_a_refusal_says_when_to_come_again(world):
    email = somebody()
    await reasons(world, email, FREE)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await world.auth.Login(login(email))
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(caught.value)
    assert any(detail.Unpack(retry) for detail in status.details)
    assert retry.retry_delay.seconds == 1
    assert dict(caught.value.trailing_metadata())["retry-after"] == "1"


async def test_a_browser_is_told_by_a_header(gateway):
    email = somebody()
    body = {"email": email, "password": "wrong one"}
    for _ in range(FREE):
        assert (await gateway.http.post("/auth/login", json=body)).status_code == 401
    answer = await gateway.http.post("/auth/login", json=body)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["details"][0]["reason"] == "TOO_MANY_ATTEMPTS"


def events(database):
    """What waits in the outbox: (action, reason, organisation) of each."""
    with database.connect() as connection:
        return connection.execute(
            "SELECT event->>'action', event->>'reason', event->>'organisation_id' FROM auth.outbox"
        ).fetchall()


@pytest.mark.parametrize("store", ["postgres", "redis"])
async def test_replicas_count_together_and_a_flood_of_tries_is_none_of_events(cluster, store):
    database = cluster.new_database()
    if store == "redis":
        with running_redis() as url:
            await count_together(database, {"REDIS_URL": url})
    else:
        await count_together(database, {})


async def count_together(database, settings):
    settings = {**settings, "audit_address": "127.0.0.1:1"}  # so that the outbox keeps all
    async with (
        running_world(database, auth=settings) as one,
        running_world(database, auth=settings) as other,
    ):
        email = somebody()
        tries = [reasons(world, email, 10) for world in (one, other)]
        started = time.monotonic()
        first, second = await asyncio.gather(*tries)
        took_s = time.monotonic() - started
    told = Counter(first + second)
    # Where the machine is so slow that a wait of a second passes meanwhile, one more is let in.
    assert FREE <= told["CREDENTIALS_INVALID"] <= FREE + int(took_s)
    assert told["CREDENTIALS_INVALID"] + told["TOO_MANY_ATTEMPTS"] == 2 * FREE
    login = ("auth.login", "TOO_MANY_ATTEMPTS", str(INSTALLATION))
    assert [event for event in events(database) if event[1] == login[1]] == [login]


async def test_without_its_redis_nobody_gets_in_uncounted(cluster):
    settings = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    async with running_world(cluster.new_database(), auth=settings) as world:
        for call in (world.auth.Login(login(somebody())), world.auth.Signup(signup())):
            refused = await refusal(call)
            assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")


async def test_an_address_is_not_flooded_by_signups(world):
    request = signup()
    for _ in range(3):
        await world.auth.Signup(request)
    assert (await refusal(world.auth.Signup(request))).metadata == {"retry_after_s": "60"}


async def test_nobody_is_flooded_with_invitations(world):
    owner = await world.new_user()
    request = organisations_pb2.CreateInvitationRequest(email=somebody(), role="member")
    await world.organisations.CreateInvitation(request, metadata=owner.metadata)
    refused = [
        await refusal(world.organisations.CreateInvitation(request, metadata=owner.metadata))
        for _ in range(3)
    ]
    assert [one.reason for one in refused] == ["INVITATION_EXISTS"] * 2 + ["TOO_MANY_ATTEMPTS"]
