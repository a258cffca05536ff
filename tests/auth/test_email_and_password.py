"""Verify and change an address, change a password, and get a forgotten one back: at the wire."""

from uuid import uuid4

import grpc
import pytest

from smart_audit.api.auth.v1 import account_pb2, auth_pb2
from tests.support.governance import until
from tests.support.mails import account_of, mail_to, mails_in, queue_is_empty
from tests.support.statements import statements
from tests.support.world import PASSWORD, refusal

NEW_PASSWORD = "a longer and better password"


@pytest.fixture
def account(world):
    return account_of(world)


def challenges_of(world, user, columns="token_hash, expires_at - created_at, used_at"):
    with world.database.connect() as connection:
        return connection.execute(
            f"SELECT {columns} FROM auth.challenges WHERE user_id = %s", [user.id]
        ).fetchall()


def is_verified(world, user):
    with world.database.connect() as connection:
        return connection.execute(
            "SELECT email_verified_at IS NOT NULL FROM auth.users WHERE id = %s", [user.id]
        ).fetchone()[0]


def verify(account, token):
    return account.VerifyEmail(account_pb2.VerifyEmailRequest(token=token))


def request_reset(account, email):
    return account.RequestPasswordReset(account_pb2.RequestPasswordResetRequest(email=email))


def reset(account, token, password=NEW_PASSWORD):
    return account.ResetPassword(
        account_pb2.ResetPasswordRequest(token=token, new_password=password)
    )


async def reset_token(world, account, user):
    await request_reset(account, user.email)
    return (await mail_to(world, user.email, "new password")).token


async def test_a_signup_is_sent_a_link_that_verifies_the_address_once(world, account):
    user = await world.signed_up(verified=False)
    mail = await mail_to(world, user.email, "Confirm your e-mail address")
    assert not is_verified(world, user)
    assert (await verify(account, mail.token)).email == user.email
    assert is_verified(world, user)
    again = await refusal(verify(account, mail.token))
    assert (again.code, again.reason) == (grpc.StatusCode.NOT_FOUND, "LINK_INVALID")


async def test_only_hashes_of_tokens_are_stored_and_queued_mail_is_sealed(world, account):
    user = await world.signed_up()
    token = (await mail_to(world, user.email, "Confirm")).token
    with world.database.connect() as connection:
        for table in ("challenges", "mails", "outbox"):
            rows = connection.execute(f"SELECT row_to_json(t)::text FROM auth.{table} t").fetchall()
            assert token not in str(rows)
            assert token.encode().hex() not in str(rows)


async def test_an_expired_link_is_refused(world, account):
    user = await world.signed_up(verified=False)
    token = (await mail_to(world, user.email, "Confirm")).token
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.challenges SET expires_at = now() WHERE user_id = %s", [user.id]
        )
    assert (await refusal(verify(account, token))).reason == "LINK_INVALID"
    assert not is_verified(world, user)


async def test_verification_links_are_bounded_and_stop_with_the_verification(world, account):
    user = await world.signed_up(verified=False)
    ask = account_pb2.RequestEmailVerificationRequest()
    for _ in range(3):
        await account.RequestEmailVerification(ask, metadata=user.metadata)
    refused = await refusal(account.RequestEmailVerification(ask, metadata=user.metadata))
    assert refused.reason == "TOO_MANY_ATTEMPTS"
    await queue_is_empty(world)
    mails = mails_in(world.mail_dir, user.email)
    assert len(mails) == 4
    await verify(account, mails[1].token)
    forget_throttles(world)
    await account.RequestEmailVerification(ask, metadata=user.metadata)
    await queue_is_empty(world)
    assert len(mails_in(world.mail_dir, user.email)) == 4


def forget_throttles(world):
    with world.database.connect() as connection:
        connection.execute("DELETE FROM auth.cache")


def add_second_factor(world, user):
    with world.database.connect() as connection:
        connection.execute(
            "INSERT INTO auth.totp_secrets (user_id, sealed_secret, created_at, confirmed_at)"
            " VALUES (%s, 'sealed', now(), now())",
            [user.id],
        )


async def test_a_reset_sets_the_password_and_ends_all_sessions_but_opens_none(world, account):
    user = await world.signed_up(verified=False)
    token = await reset_token(world, account, user)
    answer = await reset(account, token)
    assert not answer.ListFields()
    wrong = auth_pb2.LoginRequest(email=user.email, password=PASSWORD)
    assert (await refusal(world.auth.Login(wrong))).reason == "CREDENTIALS_INVALID"

    async def is_refused():
        try:
            await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNAUTHENTICATED
        return False

    await until(is_refused, seconds=1)
    refresh = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    assert (await refusal(world.auth.RefreshToken(refresh))).reason == "SESSION_ENDED"
    await world.login(user.email, NEW_PASSWORD)
    assert is_verified(world, user)
    assert (await mail_to(world, user.email, "password was reset")).text


async def test_a_reset_link_works_once_and_takes_the_others_with_it(world, account):
    user = await world.new_user()
    first = await reset_token(world, account, user)
    await request_reset(account, user.email)
    await queue_is_empty(world)
    second = await reset_token(world, account, user)
    assert first != second
    await reset(account, second)
    for token in (first, second):
        assert (await refusal(reset(account, token))).reason == "LINK_INVALID"


async def test_a_reset_link_is_good_for_half_an_hour_and_for_nothing_else(world, account):
    user = await world.new_user()
    token = await reset_token(world, account, user)
    lifetimes = {
        row[0].total_seconds() for row in challenges_of(world, user, "expires_at - created_at")
    }
    assert min(lifetimes) == 1800
    assert (await refusal(verify(account, token))).reason == "LINK_INVALID"


async def test_a_deactivated_account_gets_no_reset(world, account):
    user = await world.new_user()
    token = await reset_token(world, account, user)
    with world.database.connect() as connection:
        connection.execute("UPDATE auth.users SET deactivated_at = now() WHERE id = %s", [user.id])
    assert (await refusal(reset(account, token))).reason == "LINK_INVALID"
    before = len(mails_in(world.mail_dir, user.email))
    await request_reset(account, user.email)
    await queue_is_empty(world)
    assert len(mails_in(world.mail_dir, user.email)) == before


async def test_a_reset_does_not_get_around_a_second_factor(world, account):
    user = await world.new_user()
    add_second_factor(world, user)
    await reset(account, await reset_token(world, account, user))
    answer = await world.auth.Login(auth_pb2.LoginRequest(email=user.email, password=NEW_PASSWORD))
    assert answer.mfa_required
    assert not answer.access_token


async def test_a_reset_opens_what_guesses_have_closed(world, account):
    user = await world.new_user()
    wrong = auth_pb2.LoginRequest(email=user.email, password="wrong")
    for _ in range(11):
        refused = await refusal(world.auth.Login(wrong))
    assert refused.reason == "TOO_MANY_ATTEMPTS"
    await reset(account, await reset_token(world, account, user))
    await world.login(user.email, NEW_PASSWORD)


async def test_a_weak_password_can_be_chosen_neither_by_a_link_nor_by_a_change(world, account):
    user = await world.new_user()
    token = await reset_token(world, account, user)
    weak = "AdaLovelace1"
    change = account_pb2.ChangePasswordRequest(current_password=PASSWORD, new_password=weak)
    for call in (
        reset(account, token, weak),
        account.ChangePassword(change, metadata=user.metadata),
    ):
        refused = await refusal(call)
        assert refused.reason == "INVALID_ARGUMENT"
        assert "new_password" in refused.fields
    await reset(account, token)


async def test_reset_mails_are_bounded_for_known_and_unknown_addresses_alike(world, account):
    user = await world.new_user()
    for email in (user.email, f"{uuid4().hex}@example.com"):
        for _ in range(3):
            assert not (await request_reset(account, email)).ListFields()
        assert (await refusal(request_reset(account, email))).reason == "TOO_MANY_ATTEMPTS"
    await queue_is_empty(world)
    resets = [m for m in mails_in(world.mail_dir, user.email) if "new password" in m.subject]
    assert len(resets) == 3
    await reset(account, resets[0].token)


async def test_a_request_for_an_unknown_address_costs_the_same_statements(world, account):
    """The answer tells nothing, and neither does the work for it."""
    user = await world.new_user()
    await queue_is_empty(world)
    with statements() as known:
        await request_reset(account, user.email)
    with statements() as unknown:
        await request_reset(account, f"{uuid4().hex}@example.com")
    assert known == unknown
    assert {one.split()[0] for one in known} >= {"SELECT", "INSERT"}


async def test_a_password_is_changed_by_who_knows_it(world, account):
    user = await world.new_user()
    other = await world.login(user.email)
    wrong = account_pb2.ChangePasswordRequest(current_password="wrong", new_password=NEW_PASSWORD)
    refused = await refusal(account.ChangePassword(wrong, metadata=user.metadata))
    assert refused.reason == "CREDENTIALS_INVALID"
    right = account_pb2.ChangePasswordRequest(
        current_password=PASSWORD, new_password=NEW_PASSWORD, end_other_sessions=True
    )
    answer = await account.ChangePassword(right, metadata=user.metadata)
    assert answer.ended_sessions == 1
    refresh = auth_pb2.RefreshTokenRequest(refresh_token=other.refresh_token)
    assert (await refusal(world.auth.RefreshToken(refresh))).reason == "SESSION_ENDED"
    await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)
    await world.login(user.email, NEW_PASSWORD)
    assert (await mail_to(world, user.email, "password was changed")).text


async def test_an_address_changes_once_the_new_one_is_verified(world, account):
    user = await world.new_user()
    stale = await reset_token(world, account, user)
    new_email = f"{uuid4().hex}@example.org"
    ask = account_pb2.ChangeEmailRequest(new_email=new_email)
    await account.ChangeEmail(ask, metadata=user.metadata)
    assert (await mail_to(world, user.email, "wants to change your e-mail address")).text
    link = await mail_to(world, new_email, "new e-mail address")
    await world.login(user.email)
    assert (await verify(account, link.token)).email == new_email
    assert (await mail_to(world, user.email, "address was changed")).text
    await world.login(new_email)
    old = auth_pb2.LoginRequest(email=user.email, password=PASSWORD)
    assert (await refusal(world.auth.Login(old))).reason == "CREDENTIALS_INVALID"
    assert is_verified(world, user)
    assert (await refusal(reset(account, stale))).reason == "LINK_INVALID"
    assert (await refusal(verify(account, link.token))).reason == "LINK_INVALID"


async def test_somebody_elses_address_is_not_told_from_a_free_one(world, account):
    user, other = await world.new_user(), await world.new_user()
    await queue_is_empty(world)
    before = len(mails_in(world.mail_dir, other.email))
    ask = account_pb2.ChangeEmailRequest(new_email=other.email.upper())
    assert not (await account.ChangeEmail(ask, metadata=user.metadata)).ListFields()
    await queue_is_empty(world)
    assert len(mails_in(world.mail_dir, other.email)) == before


async def test_an_address_that_was_taken_meanwhile_is_refused(world, account):
    user = await world.new_user()
    new_email = f"{uuid4().hex}@example.org"
    ask = account_pb2.ChangeEmailRequest(new_email=new_email)
    await account.ChangeEmail(ask, metadata=user.metadata)
    link = await mail_to(world, new_email, "new e-mail address")
    signup = auth_pb2.SignupRequest(
        email=new_email, password=PASSWORD, first_name="Eve", last_name="Else"
    )
    await world.auth.Signup(signup)
    refused = await refusal(verify(account, link.token))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")


async def test_names_are_changed_one_by_one(world, account):
    user = await world.new_user()
    ask = account_pb2.UpdateProfileRequest(last_name="King")
    answer = await account.UpdateProfile(ask, metadata=user.metadata)
    assert (answer.user.first_name, answer.user.last_name) == ("Ada", "King")
    me = await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)
    assert (me.user.first_name, me.user.last_name) == ("Ada", "King")
