"""ASVS 6.3, general authentication security."""

from uuid import uuid4

from smart_audit.api.access.v1 import access_pb2
from smart_audit.api.auth.v1 import account_pb2, auth_pb2
from smart_audit.auth.wiring import SERVICES
from tests.asvs.acting import (
    NEW_PASSWORD,
    asked_for_code,
    change,
    enter_code,
    last_mail,
    listing,
    login_refused,
)
from tests.asvs.document import DOCUMENT
from tests.asvs.requirements import proves
from tests.support.factors import challenge_of, complete, with_app
from tests.support.mails import account_of, mails_in, queue_is_empty
from tests.support.world import PASSWORD, refusal


@proves(
    "6.3.1", "[paces](throttling.md) by account, address and organisation; nobody is locked out"
)
async def test_the_eleventh_guess_at_a_password_has_to_wait(world):
    email = f"{uuid4().hex}@example.com"
    reasons = [await login_refused(world, email, f"guess {number}") for number in range(11)]
    assert reasons == ["CREDENTIALS_INVALID"] * 10 + ["TOO_MANY_ATTEMPTS"]


@proves("6.3.2", "a new installation has no users; the operator names the first administrator")
async def test_a_new_installation_has_no_accounts(cluster):
    with cluster.new_database().connect() as connection:
        for table in ("users", "memberships", "service_accounts", "api_keys"):
            assert connection.execute(f"SELECT count(*) FROM auth.{table}").fetchone() == (0,)


@proves(
    "6.3.3", "where an organisation requires a second factor, tokens without one may do nothing"
)
async def test_an_organisation_that_requires_two_factors_gives_no_rights_for_one(world):
    user = await world.new_user()
    world.database.execute(
        "UPDATE auth.organisations SET sign_in_policy = 'second_factor_required' WHERE id = %s",
        user.organisation_id,
    )
    answer = await world.auth.Login(auth_pb2.LoginRequest(email=user.email, password=PASSWORD))
    assert answer.second_factor_required
    assert (await refusal(listing(world, answer.access_token))).reason == "SCOPE_MISSING"
    app = await with_app(world, user)
    challenge = (await challenge_of(world, user)).challenge
    answer = await complete(world, challenge, totp_code=app.code())
    assert await listing(world, answer.access_token)


@proves(
    "6.3.4", "[all ways in](#ways-in) stand above, and each asks who has a second factor for it"
)
async def test_each_way_in_is_documented_and_asks_for_the_second_factor(world):
    text = DOCUMENT.read_text()
    assert [name for name in open_methods() if f"`{name}`" not in text] == []
    user = await world.new_user()
    await with_app(world, user)
    assert not (await challenge_of(world, user)).access_token
    answer = await enter_code(world, *await asked_for_code(world, user))
    assert (answer.mfa_required, answer.access_token) == (True, "")


def open_methods():
    """What anybody may call that changes anything: whoever comes in comes in here."""
    for service in SERVICES:
        for method in service.methods:
            options = method.GetOptions().Extensions
            if options[access_pb2.access].public and not options[access_pb2.audit].refusals_only:
                yield method.name


@proves("6.3.5", "mail of a new device, of wrong second factors behind a right password, and more")
async def test_a_user_hears_of_a_new_device_and_of_wrong_codes(world):
    user = await world.new_user()
    world.database.execute(
        "UPDATE auth.sessions SET address = '192.0.2.7' WHERE user_id = %s", user.id
    )
    await world.login(user.email)
    assert "new device" in (await last_mail(world, user.email)).subject
    app = await with_app(world, user)
    for _ in range(3):
        challenge = (await challenge_of(world, user)).challenge
        for _ in range(4):
            refused = await refusal(complete(world, challenge, totp_code=app.wrong()))
    assert refused.reason == "TOO_MANY_ATTEMPTS"
    assert "fails at your second factor" in (await last_mail(world, user.email)).subject


@proves("6.3.6", "no codes are mailed unless an organisation turns login codes on")
async def test_mail_is_no_way_in_by_default(world, person):
    await queue_is_empty(world)
    before = len(mails_in(world.mail_dir, person.email))
    request = account_pb2.RequestLoginCodeRequest(email=person.email)
    await account_of(world).RequestLoginCode(request)
    await queue_is_empty(world)
    assert len(mails_in(world.mail_dir, person.email)) == before


@proves("6.3.7", "each change of password, address, factor or passkey is told by mail")
async def test_a_user_hears_of_a_changed_password(world):
    user = await world.new_user()
    await change(world, user, PASSWORD, NEW_PASSWORD)
    assert "password was changed" in (await last_mail(world, user.email)).subject


@proves("6.3.8", "same answer, status and work for a known and an unknown address")
async def test_nobody_learns_who_has_an_account(world, person):
    stranger = f"{uuid4().hex}@example.com"
    requests = [
        auth_pb2.LoginRequest(email=email, password="not the password")
        for email in (person.email, stranger)
    ]
    known, unknown = [await refusal(world.auth.Login(request)) for request in requests]
    assert known == unknown
    names = {"password": PASSWORD, "first_name": "Ada", "last_name": "Lovelace"}
    known, unknown = [
        await world.auth.Signup(auth_pb2.SignupRequest(email=email, **names))
        for email in (person.email, stranger)
    ]
    assert known.message == unknown.message
    assert shape(known) == shape(unknown)
    account = account_of(world)
    known, unknown = [
        await account.RequestPasswordReset(account_pb2.RequestPasswordResetRequest(email=email))
        for email in (person.email, f"{uuid4().hex}@example.com")
    ]
    assert known == unknown


def shape(answer):
    """Which fields an answer has."""
    return [field.name for field, _ in answer.ListFields()]
