"""ASVS 6.5 to 6.7: codes, lookup secrets, out-of-band and cryptographic mechanisms."""

import ast
import re
from hashlib import sha256
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from webauthn.helpers import base64url_to_bytes

import smart_audit.auth
import smart_audit.core
from smart_audit.api.auth.v1 import auth_pb2
from tests.asvs.acting import asked_for_code, enter_code
from tests.asvs.requirements import proves
from tests.support.factors import challenge_of, complete, some_time_later, with_app
from tests.support.world import refusal

WRONG = "SECOND_FACTOR_INVALID"


@pytest.fixture(scope="module")
async def guarded(world):
    """(somebody with an app for one-time codes, the app)."""
    user = await world.new_user()
    return user, await with_app(world, user)


async def completed(world, user, **factor):
    """Log in by password and a second factor."""
    challenge = (await challenge_of(world, user)).challenge
    return await complete(world, challenge, **factor)


@proves("6.5.1", "the last time step is kept; recovery codes and mailed codes are marked as used")
async def test_a_code_works_once(world, guarded, person):
    user, app = guarded
    for factor in ({"totp_code": app.code()}, {"recovery_code": app.recovery_codes[0]}):
        assert (await completed(world, user, **factor)).access_token
        challenge = (await challenge_of(world, user)).challenge
        assert (await refusal(complete(world, challenge, **factor))).reason == WRONG
    challenge, code = await asked_for_code(world, person)
    assert (await enter_code(world, challenge, code)).access_token
    assert (await refusal(enter_code(world, challenge, code))).reason == "CODE_INVALID"


@proves("6.5.2", "recovery codes have 120 bits, so SHA-256 does; mailed codes are bound by HMAC")
async def test_stored_codes_cannot_be_guessed_from_the_database(world, guarded, person):
    user, app = guarded
    letters = [code.replace("-", "") for code in app.recovery_codes]
    assert all(re.fullmatch(r"[a-z2-7]{24}", code) for code in letters)
    stored = world.database.execute(
        "SELECT code_hash FROM auth.recovery_codes WHERE user_id = %s", user.id
    )
    hashes = {sha256(f"recovery code:{code}".encode()).digest() for code in letters}
    assert {bytes(row[0]) for row in stored} == hashes
    challenge, code = await asked_for_code(world, person)
    rows = str(world.database.execute("SELECT token_hash, data::text FROM auth.challenges"))
    assert not any(
        secret in rows for secret in (code, challenge, sha256(code.encode()).hexdigest())
    )


@proves("6.5.3", "all secrets come from `secrets` or `os.urandom`; a test watches for `random`")
def test_secrets_come_from_a_secure_generator():
    unfit = {
        path.stem
        for package in (smart_audit.auth, smart_audit.core)
        for path in Path(package.__path__[0]).rglob("*.py")
        if "random" in imported(path)
    }
    # Request ids, and when a sweep begins: whoever guesses one has gained nothing.
    assert unfit == {"interceptor", "sweeper"}


def imported(path):
    """The names of the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@proves("6.5.4", "recovery codes have 120 bits, mailed codes 8 digits")
async def test_codes_have_twenty_bits_and_more(world, guarded):
    user, app = guarded
    assert len({code for code in app.recovery_codes if len(code) == 24 + 5}) == 10
    _, code = await asked_for_code(world, user)
    assert re.fullmatch(r"\d{8}", code)


@proves(
    "6.5.5", "mailed codes live 10 minutes, one-time codes 30 seconds and one step more or less"
)
async def test_codes_live_for_a_short_time(world, guarded, person):
    user, app = guarded
    some_time_later(world, user)
    for steps in (-3, 3):
        challenge = (await challenge_of(world, user)).challenge
        call = complete(world, challenge, totp_code=app.code(steps))
        assert (await refusal(call)).reason == WRONG
    challenge, code = await asked_for_code(world, person)
    late = world.database.execute(
        "UPDATE auth.challenges SET expires_at = created_at WHERE user_id = %s"
        " AND purpose = 'login.code' AND expires_at <= created_at + interval '10 minutes'"
        " RETURNING user_id",
        person.id,
    )
    assert late
    assert (await refusal(enter_code(world, challenge, code))).reason == "CODE_INVALID"


@proves("6.6.2", "a mailed code works with the challenge of its own request alone")
async def test_a_code_belongs_to_its_request(world):
    user = await world.new_user()
    first, _ = await asked_for_code(world, user)
    second, code = await asked_for_code(world, user)
    assert (await refusal(enter_code(world, first, code))).reason == "CODE_INVALID"
    assert (await enter_code(world, second, code)).access_token


@proves(
    "6.6.3", "five guesses end a request; requests are limited too ([throttling](throttling.md))"
)
async def test_guessing_a_mailed_code_ends_its_request(world):
    user = await world.new_user()
    challenge, code = await asked_for_code(world, user)
    wrong = f"{(int(code) + 1) % 10**8:08}"
    for guess in [wrong] * 5 + [code]:
        assert (await refusal(enter_code(world, challenge, guess))).reason == "CODE_INVALID"


@proves("6.7.2", "challenges for passkeys have 256 random bits and are used once")
async def test_challenges_are_long_and_unique(world):
    challenges = set()
    for _ in range(20):
        begun = await world.auth.BeginPasskeyLogin(auth_pb2.BeginPasskeyLoginRequest())
        challenges.add(base64url_to_bytes(MessageToDict(begun.options)["challenge"]))
    assert len(challenges) == 20
    assert all(len(challenge) == 32 for challenge in challenges)
