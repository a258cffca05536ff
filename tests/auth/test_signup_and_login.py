"""Signing up, logging in, and who am I, at the wire."""

from uuid import uuid4

import grpc
import pytest

from smart_audit.api.auth.v1 import auth_pb2
from tests.support.world import PASSWORD, refusal

LONG = "".join(f"{number * number:x}-" for number in range(1000, 1100))[:256]


def signup(**changes):
    fields = {
        "email": f"{uuid4().hex}@example.com",
        "password": PASSWORD,
        "first_name": "Ada",
        "last_name": "Lovelace",
    }
    return auth_pb2.SignupRequest(**(fields | changes))


async def test_a_user_signs_up_logs_in_and_is_known(world):
    user = await world.signed_up()
    me = await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)
    assert me.user.id == user.id
    assert (me.user.first_name, me.user.last_name) == ("Ada", "Lovelace")
    assert me.user.created_at.seconds > 0
    assert me.organisation.id == user.organisation_id
    assert me.organisation.role == "owner"
    assert me.session_id == user.session_id


async def test_a_signup_answers_with_the_user_and_a_personal_organisation(world):
    request = signup(email=f"{uuid4().hex}@Example.com")
    answer = await world.auth.Signup(request)
    assert answer.message == "User created successfully"
    assert answer.user.email == request.email
    logged_in = await world.login(request.email)
    assert (logged_in.id, logged_in.organisation_id) == (answer.user.id, answer.organisation_id)


async def test_a_login_compares_the_address_without_case(world):
    name = uuid4().hex
    await world.auth.Signup(signup(email=f"{name}@Example.COM"))
    assert (await world.login(f"{name.upper()}@example.com")).email


async def test_an_address_can_be_taken_once_whatever_its_case_and_nobody_is_told(world):
    request = signup()
    first = await world.auth.Signup(request)
    again = signup(email=request.email.upper(), password="another fine password", first_name="Eve")
    second = await world.auth.Signup(again)
    assert second.message == first.message
    assert second.user.email == again.email
    assert (second.user.id, second.organisation_id) != (first.user.id, first.organisation_id)
    assert (await world.login(request.email)).id == first.user.id
    wrong = auth_pb2.LoginRequest(email=request.email, password=again.password)
    assert (await refusal(world.auth.Login(wrong))).reason == "CREDENTIALS_INVALID"
    with world.database.connect() as connection:
        rows = connection.execute(
            "SELECT 1 FROM auth.users WHERE id = %s UNION ALL"
            " SELECT 1 FROM auth.organisations WHERE id = %s",
            [second.user.id, second.organisation_id],
        ).fetchall()
    assert rows == []


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(world):
    user = await world.new_user()
    wrong = auth_pb2.LoginRequest(email=user.email, password="not the password")
    unknown = auth_pb2.LoginRequest(email=f"{uuid4().hex}@example.com", password=PASSWORD)
    first, second = await refusal(world.auth.Login(wrong)), await refusal(world.auth.Login(unknown))
    assert first == second
    assert first.code is grpc.StatusCode.UNAUTHENTICATED
    assert first.reason == "CREDENTIALS_INVALID"


@pytest.mark.parametrize("known", [True, False])
async def test_a_refused_login_hashes_exactly_once(world, monkeypatch, known):
    user = await world.new_user()
    email = user.email if known else f"{uuid4().hex}@example.com"
    calls = count_hashes(monkeypatch)
    await refusal(world.auth.Login(auth_pb2.LoginRequest(email=email, password="wrong")))
    assert calls == ["verify_and_update"]


@pytest.mark.parametrize("taken", [True, False])
async def test_a_signup_hashes_exactly_once(world, monkeypatch, taken):
    request = signup()
    if taken:
        await world.auth.Signup(request)
    calls = count_hashes(monkeypatch)
    await world.auth.Signup(request)
    assert calls == ["hash"]


def count_hashes(monkeypatch):
    from passlib.handlers.argon2 import argon2  # noqa: PLC0415

    calls = []
    for name in ("hash", "verify"):
        original = getattr(argon2, name)

        def counted(*arguments, _name=name, _original=original, **keywords):
            calls.append({"verify": "verify_and_update"}.get(_name, _name))
            return _original(*arguments, **keywords)

        monkeypatch.setattr(argon2, name, counted)
    return calls


@pytest.mark.parametrize(
    ("changes", "field", "complaint"),
    [
        ({"password": "seven77"}, "password", "at least 8 characters"),
        ({"password": ""}, "password", "at least 8 characters"),
        ({"password": "x" * 257}, "password", "at most 256 characters"),
        ({"email": "no address"}, "email", "valid email address"),
        ({"email": ""}, "email", "valid email address"),
        ({"email": "a" * 250 + "@example.com"}, "email", "at most 254 characters"),
        ({"first_name": ""}, "first_name", "is required"),
        ({"last_name": ""}, "last_name", "is required"),
        ({"last_name": "Love\x00lace"}, "last_name", "control characters"),
        ({"password": "with\x00zero byte"}, "password", "zero byte"),
    ],
)
async def test_a_bad_field_is_named_with_its_remedy(world, changes, field, complaint):
    refused = await refusal(world.auth.Signup(signup(**changes)))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "INVALID_ARGUMENT"
    assert complaint in refused.fields[field]
    assert field in refused.message
    if changes.get("password"):
        assert changes["password"] not in refused.message


@pytest.mark.parametrize(
    "password",
    [LONG, "pässwörter — 密码 🔑", "  spaces around  ", LONG[:73], "exactly8"],
)
async def test_a_password_of_any_kind_works_to_its_last_character(world, password):
    request = signup(password=password)
    await world.auth.Signup(request)
    assert await world.login(request.email, password)
    for other in (password[:-1], password + "x", password.swapcase(), password.strip()):
        if other != password:
            wrong = auth_pb2.LoginRequest(email=request.email, password=other[:256])
            if wrong.password != password:
                assert (await refusal(world.auth.Login(wrong))).reason == "CREDENTIALS_INVALID"


async def test_a_bcrypt_hash_is_accepted_and_upgraded_at_login(world):
    import bcrypt  # noqa: PLC0415

    user = await world.new_user()
    old = bcrypt.hashpw(b"the old password", bcrypt.gensalt(4)).decode()
    with world.database.connect() as connection:
        connection.execute("UPDATE auth.users SET password_hash = %s WHERE id = %s", [old, user.id])
        assert await world.login(user.email, "the old password")
        (new,) = connection.execute(
            "SELECT password_hash FROM auth.users WHERE id = %s", [user.id]
        ).fetchone()
    assert new.startswith("$argon2id$")
    assert await world.login(user.email, "the old password")


async def test_no_password_is_stored(world):
    user = await world.signed_up()
    with world.database.connect() as connection:
        row = connection.execute("SELECT * FROM auth.users WHERE id = %s", [user.id]).fetchone()
    assert PASSWORD not in repr(row)
