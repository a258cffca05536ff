"""ASVS 6.4, authentication factor lifecycle and recovery."""

import re

from smart_audit.api.auth.v1 import account_pb2, admin_pb2, auth_pb2
from smart_audit.auth.wiring import SERVICES
from tests.asvs.acting import NEW_PASSWORD, last_mail, login_refused, reset, reset_link
from tests.asvs.requirements import proves
from tests.support.factors import challenge_of, complete, with_app
from tests.support.mails import account_of
from tests.support.world import PASSWORD, refusal


def fields_of(service):
    """The names of all fields of a service's requests and answers, however deep."""
    seen, waiting = set(), []
    for method in service.methods:
        waiting += [method.input_type, method.output_type]
    while waiting:
        message = waiting.pop()
        if message.full_name not in seen:
            seen.add(message.full_name)
            for field in message.fields:
                yield field.name
                if field.message_type is not None:
                    waiting.append(field.message_type)


@proves(
    "6.4.1", "links of 256 bits that work once, for a day at most; no password is ever generated"
)
async def test_a_link_to_a_new_user_works_once(world):
    user = await world.signed_up(verified=False)
    token = (await last_mail(world, user.email)).token
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    request = account_pb2.VerifyEmailRequest(token=token)
    assert (await account_of(world).VerifyEmail(request)).email == user.email
    assert (await refusal(account_of(world).VerifyEmail(request))).reason == "LINK_INVALID"


@proves("6.4.2", "there are none: no request of any service has a field for one")
def test_there_are_no_hints_and_no_secret_questions():
    asked = {name for service in SERVICES for name in fields_of(service)}
    assert "new_password" in asked
    assert not {name for name in asked if re.search("hint|question|answer", name)}


@proves("6.4.3", "a reset opens no session: the next login asks for the second factor")
async def test_a_reset_does_not_pass_by_the_second_factor(world):
    user = await world.new_user()
    app = await with_app(world, user)
    answer = await reset(world, await reset_link(world, user.email))
    assert not answer.ListFields()
    login = auth_pb2.LoginRequest(email=user.email, password=NEW_PASSWORD)
    asked = await world.auth.Login(login)
    assert (asked.mfa_required, asked.access_token) == (True, "")
    assert (await complete(world, asked.challenge, totp_code=app.code())).access_token


@proves("6.4.4", "a recovery code beside the password; no administrator removes a factor")
async def test_a_lost_factor_is_replaced_by_a_recovery_code_alone(world):
    user = await world.new_user()
    app = await with_app(world, user)
    challenge = (await challenge_of(world, user)).challenge
    answer = await complete(world, challenge, recovery_code=app.recovery_codes[0])
    assert answer.access_token
    administration = admin_pb2.DESCRIPTOR.services_by_name["UserAdminService"]
    methods = [method.name for method in administration.methods]
    assert not [name for name in methods if re.search("Totp|Passkey|Factor|Recovery", name)]


@proves(
    "6.4.6", "`ForcePasswordReset`: the user gets a link; no method of theirs takes or tells one"
)
async def test_an_administrator_starts_a_reset_and_knows_no_password(console):
    world = console.world
    user = await world.new_user()
    await console.ForcePasswordReset(admin_pb2.ForcePasswordResetRequest(user_id=user.id))
    assert await login_refused(world, user.email, PASSWORD) == "CREDENTIALS_INVALID"
    await reset(world, (await last_mail(world, user.email)).token)
    assert (await world.login(user.email, NEW_PASSWORD)).id == user.id
    administration = admin_pb2.DESCRIPTOR.services_by_name["UserAdminService"]
    named = {name for name in fields_of(administration) if "password" in name}
    assert named == {"password_reset_required"}
