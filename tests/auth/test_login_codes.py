"""Log in by a code that is sent by mail, where the organisation offers it."""

from uuid import uuid4

import pytest

from smart_audit.api.auth.v1 import account_pb2, auth_pb2
from tests.auth.test_email_and_password import add_second_factor
from tests.support.governance import until
from tests.support.mails import account_of, mails_in, queue_is_empty
from tests.support.statements import statements
from tests.support.world import refusal


@pytest.fixture
def account(world):
    return account_of(world)


@pytest.fixture(scope="module")
async def offered(world):
    """A user whose organisation lets its members log in so."""
    return await offering(world)


async def offering(world):
    user = await world.new_user()
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.organisations SET login_codes = true WHERE id = %s",
            [user.organisation_id],
        )
    return user


def request(account, email):
    return account.RequestLoginCode(account_pb2.RequestLoginCodeRequest(email=email))


def enter(account, challenge, code):
    return account.LoginWithCode(account_pb2.LoginWithCodeRequest(challenge=challenge, code=code))


async def asked(world, account, user):
    """The challenge of a request, and the code that was sent for it."""
    await queue_is_empty(world)
    before = len(mails_in(world.mail_dir, user.email))
    challenge = (await request(account, user.email)).challenge

    async def sent():
        mails = mails_in(world.mail_dir, user.email)
        return mails[-1] if len(mails) > before else None

    return challenge, (await until(sent)).code


async def test_a_code_opens_one_session(world, account, offered):
    challenge, code = await asked(world, account, offered)
    answer = await enter(account, challenge, f"{code[:4]} {code[4:]}")
    assert answer.organisation_id == offered.organisation_id
    metadata = (("authorization", f"Bearer {answer.access_token}"),)
    me = await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=metadata)
    assert me.user.id == offered.id
    assert (await refusal(enter(account, challenge, code))).reason == "CODE_INVALID"


async def test_a_code_is_bound_to_its_request_and_not_stored(world, account, offered):
    challenge, code = await asked(world, account, offered)
    stranger = (await request(account, f"{uuid4().hex}@example.com")).challenge
    assert (await refusal(enter(account, stranger, code))).reason == "CODE_INVALID"
    with world.database.connect() as connection:
        rows = str(connection.execute("SELECT data::text FROM auth.challenges").fetchall())
    assert code not in rows
    assert challenge not in rows


async def test_five_wrong_codes_end_the_request(world, account):
    user = await offering(world)
    challenge, code = await asked(world, account, user)
    wrong = f"{(int(code) + 1) % 10**8:08}"
    for _ in range(5):
        assert (await refusal(enter(account, challenge, wrong))).reason == "CODE_INVALID"
    assert (await refusal(enter(account, challenge, code))).reason == "CODE_INVALID"


async def test_a_code_is_good_for_ten_minutes(world, account):
    user = await offering(world)
    challenge, code = await asked(world, account, user)
    with world.database.connect() as connection:
        (lifetime,) = connection.execute(
            "UPDATE auth.challenges SET expires_at = now() WHERE user_id = %s"
            " AND purpose = 'login.code' RETURNING expires_at - created_at",
            [user.id],
        ).fetchone()
    assert lifetime.total_seconds() < 600
    assert (await refusal(enter(account, challenge, code))).reason == "CODE_INVALID"


async def test_who_is_offered_no_code_gets_the_same_answer_and_no_mail(world, account):
    user = await world.new_user()
    await queue_is_empty(world)
    before = len(mails_in(world.mail_dir, user.email))
    for email in (user.email, f"{uuid4().hex}@example.com"):
        answer = await request(account, email)
        assert len(answer.challenge) == 43
        assert answer.expires_in == 600
        refused = await refusal(enter(account, answer.challenge, "00000000"))
        assert refused.reason == "CODE_INVALID"
    await queue_is_empty(world)
    assert len(mails_in(world.mail_dir, user.email)) == before


async def test_all_requests_cost_the_same_statements(world, account):
    offered, refused = await offering(world), await world.new_user()
    await queue_is_empty(world)
    costs = []
    for email in (offered.email, refused.email, f"{uuid4().hex}@example.com"):
        with statements() as sent:
            await request(account, email)
        costs.append(sent)
    assert costs[0] == costs[1] == costs[2]
    assert len(costs[0]) >= 6


async def test_an_organisation_that_stops_offering_codes_takes_back_those_that_are_out(
    world, account
):
    user = await offering(world)
    challenge, code = await asked(world, account, user)
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.organisations SET login_codes = false WHERE id = %s",
            [user.organisation_id],
        )
    assert (await refusal(enter(account, challenge, code))).reason == "CODE_INVALID"


async def test_codes_are_bounded_for_known_and_unknown_addresses_alike(world, account):
    user = await offering(world)
    for email in (user.email, f"{uuid4().hex}@example.com"):
        for _ in range(3):
            await request(account, email)
        assert (await refusal(request(account, email))).reason == "TOO_MANY_ATTEMPTS"
    await queue_is_empty(world)
    codes = [m for m in mails_in(world.mail_dir, user.email) if "sign-in code" in m.subject]
    assert len(codes) == 3


async def test_a_code_does_not_get_around_a_second_factor(world, account):
    user = await offering(world)
    add_second_factor(world, user)
    challenge, code = await asked(world, account, user)
    answer = await enter(account, challenge, code)
    assert answer.mfa_required
    assert not answer.access_token
