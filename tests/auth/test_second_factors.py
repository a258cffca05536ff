"""Codes of an app and recovery codes, and logins that ask for them, at the wire."""

import asyncio

import grpc
import pytest
from pyotp import TOTP

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import account_pb2, auth_pb2, factors_pb2
from tests.support.cache import elapse
from tests.support.events import settled
from tests.support.factors import (
    challenge_of,
    claims,
    complete,
    enrol,
    execute,
    logged_in,
    some_time_later,
    with_app,
)
from tests.support.mails import account_of, mail_to
from tests.support.world import PASSWORD, read_refusal, refusal


async def listed(world, user):
    return await world.factors.ListFactors(factors_pb2.ListFactorsRequest(), metadata=user.metadata)


async def outcomes(*calls):
    """How each of several calls at once ended: "ok", or the reason of its refusal."""

    async def one(call):
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return read_refusal(error).reason
        return "ok"

    return sorted(await asyncio.gather(*map(one, calls)))


async def test_an_app_is_asked_for_once_it_is_confirmed(world):
    user = await world.new_user()
    secret = await enrol(world, user)
    assert (await world.login(user.email)).access_token
    assert not (await listed(world, user)).HasField("totp_confirmed_at")
    request = factors_pb2.ConfirmTotpRequest(code=TOTP(secret).now())
    answer = await world.factors.ConfirmTotp(request, metadata=user.metadata)
    assert len(set(answer.recovery_codes)) == 10
    factors = await listed(world, user)
    assert factors.totp_confirmed_at.seconds > 0
    assert factors.recovery_codes_left == 10
    assert not factors.required
    assert (await challenge_of(world, user)).factors == ["totp", "recovery_code"]


async def test_an_app_is_enrolled_by_text_link_and_picture(world):
    user = await world.new_user()
    request = factors_pb2.EnrolTotpRequest()
    answer = await world.factors.EnrolTotp(request, metadata=user.metadata)
    assert f"secret={answer.secret}" in answer.otpauth_uri
    assert user.email.replace("@", "%40") in answer.otpauth_uri
    assert answer.qr_svg.startswith("<svg")
    again = await world.factors.EnrolTotp(request, metadata=user.metadata)
    assert again.secret != answer.secret
    old = factors_pb2.ConfirmTotpRequest(code=TOTP(answer.secret).now())
    refused = await refusal(world.factors.ConfirmTotp(old, metadata=user.metadata))
    assert refused.reason == "SECOND_FACTOR_INVALID"


async def test_a_login_is_completed_by_a_code(world):
    user = await world.new_user()
    app = await with_app(world, user)
    asked = await challenge_of(world, user)
    assert (asked.access_token, asked.refresh_token, asked.session_id) == ("", "", "")
    assert 0 < asked.challenge_expires_in <= 300
    assert not asked.HasField("passkey_options")
    answer = await complete(world, asked.challenge, totp_code=app.code())
    assert answer.user.id == user.id
    assert claims(logged_in(user, answer))["amr"] == ["pwd", "otp", "mfa"]
    assert not answer.second_factor_required
    metadata = logged_in(user, answer).metadata
    me = await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=metadata)
    assert me.session_id == answer.session_id


async def test_the_clock_of_an_app_may_be_a_step_ahead(world):
    user = await world.new_user()
    app = await with_app(world, user)
    asked = await challenge_of(world, user)
    assert (await complete(world, asked.challenge, totp_code=app.code(1))).access_token


async def test_a_code_works_once_also_in_a_race(world):
    user = await world.new_user()
    app = await with_app(world, user)
    challenges = [(await challenge_of(world, user)).challenge for _ in range(4)]
    code = app.code()
    ended = await outcomes(*(complete(world, one, totp_code=code) for one in challenges))
    assert ended == ["SECOND_FACTOR_INVALID"] * 3 + ["ok"]
    asked = await challenge_of(world, user)
    before = await refusal(complete(world, asked.challenge, totp_code=app.code(-1)))
    assert before.reason == "SECOND_FACTOR_INVALID"


async def test_the_code_that_confirms_an_app_opens_no_login(world):
    user = await world.new_user()
    secret = await enrol(world, user)
    code = TOTP(secret).now()
    request = factors_pb2.ConfirmTotpRequest(code=code)
    await world.factors.ConfirmTotp(request, metadata=user.metadata)
    asked = await challenge_of(world, user)
    refused = await refusal(complete(world, asked.challenge, totp_code=code))
    assert refused.reason == "SECOND_FACTOR_INVALID"


async def test_a_challenge_opens_one_session_also_in_a_race(world):
    user = await world.new_user()
    app = await with_app(world, user)
    asked = await challenge_of(world, user)
    calls = [complete(world, asked.challenge, recovery_code=app.recovery_codes[n]) for n in (0, 1)]
    ended = await outcomes(*calls, complete(world, asked.challenge, totp_code=app.code()))
    assert ended == ["CHALLENGE_INVALID", "CHALLENGE_INVALID", "ok"]


async def test_a_challenge_is_good_for_five_attempts(world):
    user = await world.new_user()
    app = await with_app(world, user)
    asked = await challenge_of(world, user)
    for _ in range(5):
        refused = await refusal(complete(world, asked.challenge, recovery_code="aaaa-bbbb"))
        assert refused.reason == "SECOND_FACTOR_INVALID"
    refused = await refusal(complete(world, asked.challenge, totp_code=app.code()))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "CHALLENGE_INVALID",
    )


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE auth.challenges SET expires_at = now() WHERE user_id = %s",
        "UPDATE auth.users SET deactivated_at = now() WHERE id = %s",
        "DELETE FROM auth.memberships WHERE user_id = %s",
    ],
)
async def test_a_login_that_cannot_go_on_is_not_completed(world, end):
    user = await world.new_user()
    app = await with_app(world, user)
    asked = await challenge_of(world, user)
    execute(world, end, user.id)
    refused = await refusal(complete(world, asked.challenge, totp_code=app.code()))
    assert refused.reason == "CHALLENGE_INVALID"


async def test_a_challenge_is_answered_by_its_own_user(world):
    ada, eve = await world.new_user(), await world.new_user()
    await with_app(world, ada)
    app = await with_app(world, eve)
    asked = await challenge_of(world, ada)
    for factor in ({"totp_code": app.code()}, {"recovery_code": app.recovery_codes[0]}):
        refused = await refusal(complete(world, asked.challenge, **factor))
        assert refused.reason == "SECOND_FACTOR_INVALID"
    assert (await complete(world, (await challenge_of(world, eve)).challenge, **factor)).user.id


async def test_wrong_codes_in_a_row_make_the_next_wait_but_lock_nobody_out(world):
    user = await world.new_user()
    app = await with_app(world, user)
    *challenges, further = [(await challenge_of(world, user)).challenge for _ in range(13)]
    wrong = app.wrong()
    # At once, since guesses must not outrun the count.
    ended = await outcomes(*(complete(world, one, totp_code=wrong) for one in challenges))
    assert ended == ["SECOND_FACTOR_INVALID"] * 10 + ["TOO_MANY_ATTEMPTS"] * 2
    # The wait is a second to begin with.
    waiting = await refusal(complete(world, further, totp_code=app.code()))
    assert waiting.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert waiting.reason == "TOO_MANY_ATTEMPTS"
    warning = await mail_to(world, user.email, "Somebody fails at your second factor")
    assert "knows your password" in warning.text
    code = app.recovery_codes[0]
    assert (await complete(world, further, recovery_code=code)).access_token
    with world.database.connect() as connection:
        elapse(connection, 900)
    asked = await challenge_of(world, user)
    assert (await complete(world, asked.challenge, totp_code=app.code())).access_token
    some_time_later(world, user)
    asked = await challenge_of(world, user)
    await refusal(complete(world, asked.challenge, totp_code=wrong))
    assert (await complete(world, asked.challenge, totp_code=app.code())).access_token


async def test_a_recovery_code_works_once_also_in_a_race(world):
    user = await world.new_user()
    app = await with_app(world, user)
    challenges = [(await challenge_of(world, user)).challenge for _ in range(3)]
    code = app.recovery_codes[0].upper().replace("-", " ")
    ended = await outcomes(*(complete(world, one, recovery_code=code) for one in challenges))
    assert ended == ["SECOND_FACTOR_INVALID"] * 2 + ["ok"]
    assert (await listed(world, user)).recovery_codes_left == 9


async def test_new_recovery_codes_end_the_old_ones(world):
    user = await world.new_user()
    app = await with_app(world, user)
    request = factors_pb2.RegenerateRecoveryCodesRequest()
    answer = await world.factors.RegenerateRecoveryCodes(request, metadata=user.metadata)
    assert not set(answer.recovery_codes) & set(app.recovery_codes)
    asked = await challenge_of(world, user)
    refused = await refusal(complete(world, asked.challenge, recovery_code=app.recovery_codes[0]))
    assert refused.reason == "SECOND_FACTOR_INVALID"
    new = answer.recovery_codes[0]
    assert (await complete(world, asked.challenge, recovery_code=new)).access_token


async def test_no_secret_is_stored_in_the_clear(world):
    user = await world.new_user()
    app = await with_app(world, user)
    asked = await challenge_of(world, user)
    with world.database.connect() as connection:
        rows = [
            row
            for table in ("totp_secrets", "recovery_codes", "challenges")
            for row in connection.execute(
                f"SELECT * FROM auth.{table} WHERE user_id = %s", [user.id]
            )
        ]
    stored = str(rows)
    assert len(rows) >= 12
    for secret in (app.secret, asked.challenge, *app.recovery_codes):
        assert secret not in stored
        assert secret.replace("-", "") not in stored


async def test_an_app_is_removed_and_its_recovery_codes_with_it(world):
    user = await world.new_user()
    await with_app(world, user)
    request = factors_pb2.RemoveTotpRequest()
    await world.factors.RemoveTotp(request, metadata=user.metadata)
    assert (await world.login(user.email)).access_token
    assert (await listed(world, user)).recovery_codes_left == 0
    assert (
        await refusal(world.factors.RemoveTotp(request, metadata=user.metadata))
    ).reason == "FACTOR_NOT_FOUND"
    codes = factors_pb2.RegenerateRecoveryCodesRequest()
    assert (
        await refusal(world.factors.RegenerateRecoveryCodes(codes, metadata=user.metadata))
    ).reason == "FACTOR_NOT_FOUND"


async def test_an_app_is_confirmed_once_and_only_after_it_was_enrolled(world):
    user = await world.new_user()
    confirm = factors_pb2.ConfirmTotpRequest(code="000000")
    refused = await refusal(world.factors.ConfirmTotp(confirm, metadata=user.metadata))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "FACTOR_NOT_FOUND")
    await with_app(world, user)
    for call in (
        world.factors.ConfirmTotp(confirm, metadata=user.metadata),
        world.factors.EnrolTotp(factors_pb2.EnrolTotpRequest(), metadata=user.metadata),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "FACTOR_EXISTS")


async def test_a_change_ends_the_other_sessions_if_asked(world):
    user = await world.new_user()
    other = await world.login(user.email)
    await with_app(world, user, end_other_sessions=True)
    ended = auth_pb2.RefreshTokenRequest(refresh_token=other.refresh_token)
    assert (await refusal(world.auth.RefreshToken(ended))).reason == "SESSION_ENDED"
    kept = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    assert (await world.auth.RefreshToken(kept)).access_token


@pytest.mark.parametrize(
    ("factor", "field"),
    [
        ({}, "factor"),
        ({"totp_code": "12345"}, "totp_code"),
        ({"totp_code": "１２３４５６"}, "totp_code"),
        ({"recovery_code": ""}, "recovery_code"),
    ],
)
async def test_a_factor_that_cannot_be_one_is_named(world, factor, field):
    refused = await refusal(complete(world, "challenge", **factor))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert list(refused.fields) == [field]


async def test_the_owner_is_told_of_changes_and_of_recovery(world):
    user = await world.new_user()
    app = await with_app(world, user)
    await mail_to(world, user.email, "An authenticator app was added")
    asked = await challenge_of(world, user)
    await complete(world, asked.challenge, recovery_code=app.recovery_codes[0])
    await mail_to(world, user.email, "A recovery code was used to sign in")
    request = factors_pb2.RegenerateRecoveryCodesRequest()
    await world.factors.RegenerateRecoveryCodes(request, metadata=user.metadata)
    await mail_to(world, user.email, "You have new recovery codes")
    await world.factors.RemoveTotp(factors_pb2.RemoveTotpRequest(), metadata=user.metadata)
    await mail_to(world, user.email, "Your authenticator app was removed")


async def test_a_new_password_replaces_no_factor_and_ends_logins_that_wait_for_one(world):
    user = await world.new_user()
    app = await with_app(world, user)
    waiting = await challenge_of(world, user)
    account = account_of(world)
    await account.RequestPasswordReset(account_pb2.RequestPasswordResetRequest(email=user.email))
    token = (await mail_to(world, user.email, "new password")).token
    new = "a longer and better password"
    await account.ResetPassword(account_pb2.ResetPasswordRequest(token=token, new_password=new))
    refused = await refusal(complete(world, waiting.challenge, totp_code=app.code()))
    assert refused.reason == "CHALLENGE_INVALID"
    asked = await world.auth.Login(auth_pb2.LoginRequest(email=user.email, password=new))
    assert (asked.mfa_required, asked.access_token) == (True, "")


async def test_the_log_tells_the_factors_of_each_login(world):
    user = await world.signed_up()
    app = await with_app(world, user)
    asked = await challenge_of(world, user)
    await refusal(complete(world, asked.challenge, totp_code=app.wrong()))
    answer = await complete(world, asked.challenge, recovery_code=app.recovery_codes[0])
    await refusal(complete(world, "no challenge", totp_code=app.code()))
    await settled(world, user, 7)
    answers = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(), metadata=logged_in(user, answer).metadata
    )
    events = sorted(answers.events, key=lambda event: event.log_index)
    told = [(event.action, event.outcome_reason) for event in events]
    assert told == [
        ("auth.signup", ""),
        ("auth.login", ""),
        ("auth.factor.totp.enrol", ""),
        ("auth.factor.totp.confirm", ""),
        ("auth.login.challenge", ""),
        ("auth.login", "SECOND_FACTOR_INVALID"),
        ("auth.login", ""),
    ]
    assert {event.actor.id for event in events} == {user.id}
    assert list(events[1].metadata["amr"]) == ["pwd"]
    assert list(events[-1].metadata["amr"]) == ["pwd", "otp", "mfa"]
    assert events[-1].metadata["second_factor"] == "recovery_code"
    for secret in (PASSWORD, app.secret, asked.challenge, *app.recovery_codes):
        assert secret not in str(events)
