"""Keeping users out, and what else administrators do to them, at the wire."""

import asyncio
from contextlib import contextmanager

import grpc
import pytest

from smart_audit.api.auth.v1 import account_pb2, admin_pb2, auth_pb2
from smart_audit.auth.passwords import Hasher
from tests.support.administrators import (
    INSTALLATION_ID,
    Console,
    call_about,
    new_administrator,
    refused_soon,
    told,
)
from tests.support.mails import account_of, mail_to
from tests.support.world import PASSWORD, refusal


async def test_a_deactivated_user_is_out_at_once_and_everywhere(console):
    world = console.world
    user = await world.new_user()
    answer = await console.DeactivateUser(admin_pb2.DeactivateUserRequest(user_id=user.id))
    assert answer.user.state == admin_pb2.USER_STATE_DEACTIVATED
    await refused_soon(world, user)
    exchange = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    assert (await refusal(world.auth.RefreshToken(exchange))).reason == "SESSION_ENDED"
    assert (await told(console, "user.deactivate", user.id)).actor.id == console.user.id


async def test_a_deactivated_user_gets_the_answer_of_a_wrong_password_until_reactivated(console):
    world = console.world
    user = await world.new_user()
    right = auth_pb2.LoginRequest(email=user.email, password=PASSWORD)
    wrong = auth_pb2.LoginRequest(email=user.email, password="not the password")
    before = await refusal(world.auth.Login(wrong))
    await console.DeactivateUser(admin_pb2.DeactivateUserRequest(user_id=user.id))
    assert await refusal(world.auth.Login(right)) == before
    await console.ReactivateUser(admin_pb2.ReactivateUserRequest(user_id=user.id))
    assert (await world.login(user.email)).id == user.id


@pytest.mark.parametrize("method", ["DeactivateUser", "ForcePasswordReset"])
async def test_a_login_under_way_opens_no_session_after_it(console, monkeypatch, method):
    user = await console.world.new_user()
    verify = Hasher.verify

    async def slow(self, password, password_hash):
        verified = await verify(self, password, password_hash)
        await getattr(console, method)(call_about(method, user.id))
        return verified

    monkeypatch.setattr(Hasher, "verify", slow)
    login = auth_pb2.LoginRequest(email=user.email, password=PASSWORD)
    refused = await refusal(console.world.auth.Login(login))
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    shown = await console.GetUser(admin_pb2.GetUserRequest(user_id=user.id))
    assert not shown.sessions


@contextmanager
def alone(world, *administrators):
    """Nobody else can administer the installation."""
    others = world.database.execute(
        "UPDATE auth.users SET deactivated_at = now() FROM auth.memberships WHERE user_id = id"
        " AND organisation_id = %s AND deactivated_at IS NULL AND id <> ALL(%s::uuid[])"
        " RETURNING id",
        INSTALLATION_ID,
        [one.id for one in administrators],
    )
    try:
        yield
    finally:
        back = "UPDATE auth.users SET deactivated_at = NULL WHERE id = ANY(%s)"
        world.database.execute(back, [other for (other,) in others])


async def test_the_last_administrator_stays(console):
    with alone(console.world, console.user):
        request = admin_pb2.DeactivateUserRequest(user_id=console.user.id)
        refused = await refusal(console.DeactivateUser(request))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "LAST_ADMINISTRATOR",
    )


async def test_two_administrators_cannot_deactivate_each_other_at_once(console):
    world = console.world
    pair = [await new_administrator(world) for _ in range(2)]
    with alone(world, *pair):
        calls = [
            Console(world, console.stub, one).DeactivateUser(
                admin_pb2.DeactivateUserRequest(user_id=other.id)
            )
            for one, other in (pair, pair[::-1])
        ]
        done = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, admin_pb2.DeactivateUserResponse) for one in done) == 1


async def test_a_forced_reset_ends_all_sessions_and_the_password(console):
    world = console.world
    user = await world.new_user()
    answer = await console.ForcePasswordReset(admin_pb2.ForcePasswordResetRequest(user_id=user.id))
    assert answer.user.password_reset_required
    await refused_soon(world, user)
    login = auth_pb2.LoginRequest(email=user.email, password=PASSWORD)
    assert (await refusal(world.auth.Login(login))).reason == "CREDENTIALS_INVALID"
    assert await mail_to(world, user.email, "You have to choose a new password")
    mail = await mail_to(world, user.email, "Choose a new password")
    assert "127.0.0.1" not in mail.text
    reset = account_pb2.ResetPasswordRequest(token=mail.token, new_password="another long phrase")
    await account_of(world).ResetPassword(reset)
    assert (await world.login(user.email, "another long phrase")).id == user.id


async def test_an_administrator_ends_one_session_or_all(console):
    world = console.world
    first = await world.new_user()
    second, third = await world.login(first.email), await world.login(first.email)
    one = admin_pb2.EndUserSessionsRequest(user_id=first.id, session_id=second.session_id)
    assert (await console.EndUserSessions(one)).ended == 1
    await refused_soon(world, second)
    assert (await refusal(console.EndUserSessions(one))).reason == "SESSION_NOT_FOUND"
    assert (await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=third.metadata)).user.id
    everything = admin_pb2.EndUserSessionsRequest(user_id=first.id)
    assert (await console.EndUserSessions(everything)).ended == 2
    await refused_soon(world, third)


async def test_a_session_of_somebody_else_is_not_ended(console):
    mine, foreign = await console.world.new_user(), console.user
    request = admin_pb2.EndUserSessionsRequest(user_id=mine.id, session_id=foreign.session_id)
    assert (await refusal(console.EndUserSessions(request))).reason == "SESSION_NOT_FOUND"
