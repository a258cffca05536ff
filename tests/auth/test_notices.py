"""Notices: what a person is told of, where, and what is not worth a mail."""

import grpc.aio
import pytest

from smart_audit.api.auth.v1 import account_pb2, auth_pb2, auth_pb2_grpc, sessions_pb2
from smart_audit.auth.use_cases.new_devices import network_of
from tests.support.mails import account_of, mail_to, mails_in, queue_is_empty
from tests.support.world import PASSWORD, refusal, running_world

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0"
ELDER_FIREFOX = FIREFOX.replace("150.0", "149.0")


async def log_in_from(world, user, address, user_agent=FIREFOX):
    """Log in as the gateway passes a browser's call on."""
    metadata = (("x-envoy-external-address", address),)
    options = [("grpc.primary_user_agent", user_agent)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.auth_port}", options) as channel:
        stub = auth_pb2_grpc.AuthServiceStub(channel)
        await stub.Login(
            auth_pb2.LoginRequest(email=user.email, password=PASSWORD), metadata=metadata
        )
    await queue_is_empty(world)


def notices(world, user):
    mails = mails_in(world.mail_dir, user.email)
    return [mail for mail in mails if "new device" in mail.subject]


async def test_a_login_from_an_unknown_device_is_told_once(world):
    user = await world.new_user()
    await queue_is_empty(world)
    assert notices(world, user) == []
    await log_in_from(world, user, "192.0.2.7")
    (told,) = notices(world, user)
    assert "192.0.2.7" in told.text
    assert "Firefox on Linux" in told.text
    await log_in_from(world, user, "192.0.2.99", ELDER_FIREFOX)
    assert len(notices(world, user)) == 1
    await log_in_from(world, user, "198.51.100.7")
    assert len(notices(world, user)) == 2


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_the_network_of_an_address(address, network):
    assert network_of(address) == network


async def test_a_stolen_refresh_token_is_told(world):
    user = await world.new_user()
    spent = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    await world.auth.RefreshToken(spent)
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval '1 minute'"
            " WHERE session_id = %s",
            [user.session_id],
        )
    await refusal(world.auth.RefreshToken(spent))
    assert (await mail_to(world, user.email, "used twice")).text


async def test_the_end_of_other_sessions_is_told(world):
    user = await world.new_user()
    await world.login(user.email)
    await world.sessions.RevokeOtherSessions(
        sessions_pb2.RevokeOtherSessionsRequest(), metadata=user.metadata
    )
    assert (await mail_to(world, user.email, "were ended")).text


async def test_a_login_may_have_to_wait_for_the_verified_address(cluster):
    async with running_world(
        cluster.new_database(), auth={"require_verified_email": True}
    ) as world:
        email = "ada@example.com"
        await world.auth.Signup(
            auth_pb2.SignupRequest(
                email=email, password=PASSWORD, first_name="Ada", last_name="Lovelace"
            )
        )
        wrong = auth_pb2.LoginRequest(email=email, password="wrong")
        assert (await refusal(world.auth.Login(wrong))).reason == "CREDENTIALS_INVALID"
        right = auth_pb2.LoginRequest(email=email, password=PASSWORD)
        for _ in range(6):
            refused = await refusal(world.auth.Login(right))
            assert refused.reason == "EMAIL_UNVERIFIED"
        await queue_is_empty(world)
        mails = mails_in(world.mail_dir, email)
        assert len(mails) == 5
        await account_of(world).VerifyEmail(account_pb2.VerifyEmailRequest(token=mails[-1].token))
        assert await world.login(email)
