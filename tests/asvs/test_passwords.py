"""ASVS 6.2, password security."""

import re
from uuid import uuid4

from zxcvbn.frequency_lists import FREQUENCY_LISTS

from smart_audit.api.auth.v1 import account_pb2, auth_pb2
from smart_audit.auth import common_passwords
from tests.asvs.acting import NEW_PASSWORD, change, login_refused
from tests.asvs.requirements import proves
from tests.support.mails import account_of
from tests.support.world import PASSWORD, refusal

TOO_COMMON = "one of the passwords that are tried first"
# By how often they were found, those that a policy of 8 characters lets through.
LEAKED = [password for password in FREQUENCY_LISTS["passwords"] if len(password) >= 8]


def signup(world, password, **changes):
    """A call that signs somebody new up."""
    fields = {"email": f"{uuid4().hex}@example.com", "first_name": "Ada", "last_name": "Lovelace"}
    return world.auth.Signup(auth_pb2.SignupRequest(password=password, **{**fields, **changes}))


async def complaint(world, password, **changes):
    """What is said of a password that is refused."""
    return (await refusal(signup(world, password, **changes))).fields["password"]


@proves("6.2.1", "8 characters, or 15 where an organisation logs in by password alone")
async def test_a_password_of_seven_characters_is_refused(world):
    assert "at least 8 characters" in await complaint(world, "kU4-zx!")


@proves("6.2.2", "`ChangePassword`")
async def test_a_user_changes_the_password(world):
    user = await world.new_user()
    await change(world, user, PASSWORD, NEW_PASSWORD)
    assert (await world.login(user.email, NEW_PASSWORD)).id == user.id
    assert await login_refused(world, user.email, PASSWORD) == "CREDENTIALS_INVALID"


@proves("6.2.3", "`ChangePassword` needs the current one, whatever the token")
async def test_a_change_needs_the_current_password(world, person):
    refused = await refusal(change(world, person, "not the password", NEW_PASSWORD))
    assert refused.reason == "CREDENTIALS_INVALID"
    assert await world.login(person.email, PASSWORD)


@proves("6.2.4", "an offline list of 422,302 passwords, at signup, change and reset")
async def test_the_3000_most_used_passwords_are_refused(world, person):
    known = common_passwords.load(None)
    assert [password for password in LEAKED[:3000] if not known.hold(password)] == []
    for password in LEAKED[:3]:
        assert TOO_COMMON in await complaint(world, password)
    refused = await refusal(change(world, person, PASSWORD, LEAKED[0]))
    assert TOO_COMMON in refused.fields["new_password"]


@proves("6.2.5", "any characters of Unicode; no rules of composition")
async def test_a_password_may_be_of_one_kind_of_characters(world):
    for password in ("qzvkwmxpjtbn", "密码是我的狗名字叫", "              x"):
        email = f"{uuid4().hex}@example.com"
        await signup(world, password, email=email)
        assert await world.login(email, password)


async def page(world):
    """The built-in page on which a password is chosen, as text."""
    request = account_pb2.GetAccountPageRequest(page="reset-password")
    answer = await account_of(world).GetAccountPage(request)
    return answer.data.decode()


@proves("6.2.6", "the built-in page masks its fields; front ends of others are up to them")
async def test_password_fields_are_masked(world):
    fields = re.findall(r"<input[^>]*password[^>]*>", await page(world))
    assert fields
    assert all('type="password"' in field for field in fields)


@proves("6.2.7", "the built-in page names its fields for password managers and stops no paste")
async def test_password_managers_can_fill_the_fields(world):
    text = await page(world)
    fields = re.findall(r"<input[^>]*password[^>]*>", text)
    named = re.compile('autocomplete="(new|current)-password"')
    assert all(named.search(field) for field in fields)
    assert not re.search("paste|keydown|readonly|autocomplete=.off", text)


@proves("6.2.8", "checked to the last of 256 characters, as they came")
async def test_a_password_is_checked_exactly_as_given(world):
    password = " Kestrel wind over 72 bytes: " + "ä" * 40 + " end"
    email = f"{uuid4().hex}@example.com"
    await signup(world, password, email=email)
    for other in (password[:-1], password.swapcase(), password.strip()):
        assert await login_refused(world, email, other) == "CREDENTIALS_INVALID"
    assert await world.login(email, password)


@proves("6.2.9", "up to 256 characters")
async def test_a_password_of_256_characters_is_permitted(world):
    password = "longer than anybody types " * 9 + "x" * 22
    email = f"{uuid4().hex}@example.com"
    await signup(world, password, email=email)
    assert len(password) == 256
    assert await world.login(email, password)


@proves("6.2.10", "no password expires by age; only a forced reset asks for a new one")
async def test_an_old_password_stays_valid(world, person):
    world.database.execute(
        "UPDATE auth.users SET password_changed_at = now() - interval '10 years',"
        " created_at = now() - interval '10 years' WHERE id = %s",
        person.id,
    )
    assert await world.login(person.email, PASSWORD)


@proves(
    "6.2.11", "no password of the product's, the organisation's or the user's names and address"
)
async def test_a_password_made_of_its_context_is_refused(world, person):
    for password in ("Lovelace1815", "ada.lovelace", "SmartAudit!"):
        assert await complaint(world, password)
    refused = await refusal(change(world, person, PASSWORD, "ada+lovelace"))
    assert refused.fields["new_password"]


@proves("6.2.12", "the same list, which holds breached ones, and a range server if one is set")
async def test_a_breached_password_is_refused(world):
    for password in LEAKED[3000::2000]:
        assert TOO_COMMON in await complaint(world, password)
