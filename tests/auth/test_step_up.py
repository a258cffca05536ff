"""Authenticating again, and organisations that require a second factor, at the wire."""

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2, factors_pb2
from tests.support.authenticator import Authenticator
from tests.support.factors import (
    claims,
    enrol,
    execute,
    logged_in,
    passkey_login,
    signed,
    with_app,
    with_passkey,
)
from tests.support.world import PASSWORD, ended_within, refusal


def reauthenticate(world, user, **proof):
    return world.auth.Reauthenticate(
        auth_pb2.ReauthenticateRequest(**proof), metadata=user.metadata
    )


async def refreshed(world, user):
    request = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    answer = await world.auth.RefreshToken(request)
    return logged_in(user, answer), answer


async def an_hour_later(world, user):
    """The user as of a login an hour ago, with tokens that say so."""
    execute(
        world,
        "UPDATE auth.sessions SET authenticated_at = authenticated_at - interval '1 hour'"
        " WHERE id = %s",
        user.session_id,
    )
    return (await refreshed(world, user))[0]


async def test_what_is_sensitive_needs_a_recent_authentication(world):
    user = await an_hour_later(world, await world.new_user())
    for call in (
        world.factors.EnrolTotp(factors_pb2.EnrolTotpRequest(), metadata=user.metadata),
        with_passkey(world, user, Authenticator()),
        world.factors.RemoveTotp(factors_pb2.RemoveTotpRequest(), metadata=user.metadata),
    ):
        refused = await refusal(call)
        assert refused.reason == "REAUTHENTICATION_REQUIRED"
        assert refused.metadata["max_age_s"] == "600"
    renewed = logged_in(user, await reauthenticate(world, user, password=PASSWORD))
    assert await enrol(world, renewed)


async def test_a_session_has_new_tokens_afterwards_and_the_old_ones_are_refused(world):
    user = await an_hour_later(world, await world.new_user())
    before = claims(user)
    renewed = logged_in(user, await reauthenticate(world, user, password=PASSWORD))
    after = claims(renewed)
    assert after["sid"] == before["sid"]
    assert after["auth_time"] >= before["auth_time"] + 3590
    old = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    assert (await refusal(world.auth.RefreshToken(old))).reason == "TOKEN_INVALID"
    assert (await refreshed(world, renewed))[1].access_token
    await ended_within(lambda: world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata))


async def test_who_has_a_second_factor_is_asked_for_it_again(world):
    user = await world.new_user()
    app = await with_app(world, user)
    missing = await refusal(reauthenticate(world, user, password=PASSWORD))
    assert (missing.code, missing.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "SECOND_FACTOR_MISSING",
    )
    assert missing.metadata == {"factors": "totp recovery_code"}
    for proof, reason in (
        ({"password": "wrong", "totp_code": app.code()}, "CREDENTIALS_INVALID"),
        ({"password": PASSWORD, "totp_code": app.wrong()}, "SECOND_FACTOR_INVALID"),
        ({"password": PASSWORD, "recovery_code": "aaaa"}, "SECOND_FACTOR_INVALID"),
    ):
        assert (await refusal(reauthenticate(world, user, **proof))).reason == reason
    answer = await reauthenticate(world, user, password=PASSWORD, totp_code=app.code())
    assert claims(logged_in(user, answer))["amr"] == ["pwd", "otp", "mfa"]


async def test_who_guesses_the_password_within_a_session_is_slowed_down_as_at_a_login(world):
    user = await world.new_user()
    for _ in range(10):
        refused = await refusal(reauthenticate(world, user, password="wrong"))
        assert refused.reason == "CREDENTIALS_INVALID"
    refused = await refusal(reauthenticate(world, user, password=PASSWORD))
    assert refused.reason == "TOO_MANY_ATTEMPTS"
    login = auth_pb2.LoginRequest(email=user.email, password=PASSWORD)
    assert (await refusal(world.auth.Login(login))).reason == "TOO_MANY_ATTEMPTS"


async def test_a_second_factor_without_the_password_is_not_enough(world):
    user = await world.new_user()
    app = await with_app(world, user)
    refused = await refusal(reauthenticate(world, user, totp_code=app.code()))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.fields) == ["password"]


async def test_a_passkey_is_enough_but_only_ones_own(world):
    ada, eve = await world.new_user(), await world.new_user()
    hers, other = Authenticator(), Authenticator()
    await with_passkey(world, ada, hers)
    await with_passkey(world, eve, other)
    credential = await signed(world, other)
    refused = await refusal(reauthenticate(world, ada, passkey=credential))
    assert refused.reason == "PASSKEY_INVALID"
    credential = await signed(world, hers)
    answer = await reauthenticate(world, ada, passkey=credential)
    renewed = logged_in(ada, answer)
    assert claims(renewed)["amr"] == ["hwk", "user", "mfa"]
    again = await refusal(reauthenticate(world, renewed, passkey=credential))
    assert again.reason == "CHALLENGE_INVALID"


async def test_a_session_that_has_ended_is_not_renewed(world):
    user = await world.new_user()
    execute(world, "UPDATE auth.sessions SET ended_at = now() WHERE id = %s", user.session_id)
    refused = await refusal(reauthenticate(world, user, password=PASSWORD))
    assert refused.reason == "SESSION_ENDED"


def require_a_second_factor(world, user):
    execute(
        world,
        "UPDATE auth.organisations SET sign_in_policy = 'second_factor_required' WHERE id = %s",
        user.organisation_id,
    )


async def test_without_the_factor_that_is_required_a_session_may_only_enrol_one(world):
    user = await world.new_user()
    require_a_second_factor(world, user)
    answer = await world.auth.Login(auth_pb2.LoginRequest(email=user.email, password=PASSWORD))
    assert answer.second_factor_required
    limited = logged_in(user, answer)
    assert claims(limited)["scope"] == ""
    events = audit_pb2.ListEventsRequest()
    refused = await refusal(world.events.ListEvents(events, metadata=limited.metadata))
    assert refused.reason == "SCOPE_MISSING"
    await with_app(world, limited)
    full, answer = await refreshed(world, limited)
    assert not answer.second_factor_required
    assert claims(full)["amr"] == ["pwd", "otp", "mfa"]
    assert (await world.events.ListEvents(events, metadata=full.metadata)).events


async def test_a_passkey_satisfies_the_organisation_by_itself(world):
    user, authenticator = await world.new_user(), Authenticator()
    await with_passkey(world, user, authenticator)
    require_a_second_factor(world, user)
    answer = await passkey_login(world, await signed(world, authenticator))
    assert not answer.second_factor_required
    assert "events.read" in claims(logged_in(user, answer))["scope"]


@pytest.mark.parametrize("last", ["totp", "passkey"])
async def test_the_last_factor_stays_while_an_organisation_requires_one(world, last):
    user = await world.new_user()
    passkey = (await with_passkey(world, user, Authenticator())).passkey
    await with_app(world, user)
    require_a_second_factor(world, user)
    totp = world.factors.RemoveTotp, factors_pb2.RemoveTotpRequest()
    key = world.factors.RemovePasskey, factors_pb2.RemovePasskeyRequest(passkey_id=passkey.id)
    first, second = (key, totp) if last == "totp" else (totp, key)
    await first[0](first[1], metadata=user.metadata)
    refused = await refusal(second[0](second[1], metadata=user.metadata))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "FACTOR_REQUIRED",
    )
    listed = await world.factors.ListFactors(
        factors_pb2.ListFactorsRequest(), metadata=user.metadata
    )
    assert listed.required
