"""Users of other systems come with their hashes, log in with their passwords, and are upgraded."""

import base64
import hashlib
import json
import os
from asyncio.subprocess import PIPE
from uuid import uuid4

import argon2
import bcrypt
import pytest
from passlib import hash as passlib_hash

from smart_audit.api.auth.v1 import auth_pb2
from tests.support import forks
from tests.support.world import refusal, running_world

PASSWORD = "Trombone ünd Paukenschlag"
LONG = "Trombone " * 8 + "and more"


def bcrypted(password, prefix="$2b$"):
    made = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    return made.replace("$2b$", prefix)


def argon(variant):
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=2, type=variant)
    return hasher.hash(PASSWORD)


def django(digest, rounds=1000, salt="saltysalt"):
    """As Django's PBKDF2 hashers write it."""
    key = hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), salt.encode(), rounds)
    return f"pbkdf2_{digest}${rounds}${salt}${base64.b64encode(key).decode()}"


def scrypted():
    """As passlib writes it, by the standard library's scrypt."""
    salt = b"0123456789abcdef"
    key = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=16, r=8, p=1, dklen=32)
    encoded = (base64.b64encode(part).decode().rstrip("=") for part in (salt, key))
    return "$scrypt$ln=4,r=8,p=1$" + "$".join(encoded)


HASHES = {
    "bcrypt 2b": bcrypted(PASSWORD),
    "bcrypt 2a": bcrypted(PASSWORD, "$2a$"),
    "bcrypt 2y": bcrypted(PASSWORD, "$2y$"),
    "bcrypt of Django": "bcrypt$" + bcrypted(PASSWORD),
    "bcrypt-sha256 of Django": "bcrypt_sha256$"
    + bcrypted(hashlib.sha256(PASSWORD.encode()).hexdigest()),
    "bcrypt-sha256 of passlib": passlib_hash.bcrypt_sha256.using(rounds=4).hash(PASSWORD),
    "argon2id": argon(argon2.Type.ID),
    "argon2i": argon(argon2.Type.I),
    "argon2d": argon(argon2.Type.D),
    "argon2 of Django": "argon2" + argon(argon2.Type.ID),
    "scrypt": scrypted(),
    "pbkdf2-sha512": passlib_hash.pbkdf2_sha512.using(rounds=1000).hash(PASSWORD),
    "pbkdf2-sha256": passlib_hash.pbkdf2_sha256.using(rounds=1000).hash(PASSWORD),
    "pbkdf2-sha1": passlib_hash.pbkdf2_sha1.using(rounds=1000).hash(PASSWORD),
    "pbkdf2-sha256 of Django": django("sha256"),
    "pbkdf2-sha1 of Django": django("sha1"),
    "sha512-crypt": passlib_hash.sha512_crypt.using(rounds=1000).hash(PASSWORD),
    "sha256-crypt": passlib_hash.sha256_crypt.using(rounds=1000).hash(PASSWORD),
}


def line(**changes):
    fields = {
        "email": f"{uuid4().hex}@example.com",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "password_hash": HASHES["bcrypt 2b"],
    }
    return {**fields, **changes}


async def imported(world, lines):
    """Run the command: (exit code, lines of its report, what it complains of)."""
    text = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    process = await forks.start(
        "smart_audit.auth",
        "import-users",
        "-",
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env={
            **os.environ,
            "AUTH_DATABASE_URL": world.database.service_url("auth"),
            "AUTH_LOG_LEVEL": "ERROR",
        },
    )
    out, err = await process.communicate(text.encode())
    return process.returncode, out.decode().splitlines(), err.decode()


@pytest.fixture(scope="module")
async def world(cluster):
    """With hashes as strong as the command's, which is a process of its own."""
    async with running_world(cluster.new_database(), quick_hashes=False) as running:
        yield running


@pytest.fixture(scope="module")
async def users(world):
    """One user for each kind of hash, imported at once: email by kind."""
    lines = {kind: line(password_hash=made) for kind, made in HASHES.items()}
    assert await imported(world, lines.values()) == (
        0,
        [f"{len(lines)} imported, 0 taken, 0 refused"],
        "",
    )
    return {kind: one["email"] for kind, one in lines.items()}


def stored(world, email, column="password_hash"):
    with world.database.connect() as connection:
        (value,) = connection.execute(
            f"SELECT {column} FROM auth.users WHERE email = %s", [email]
        ).fetchone()
    return value


@pytest.mark.parametrize("kind", HASHES)
async def test_a_foreign_hash_is_verified_as_it_is_and_upgraded_at_the_first_login(
    world, users, kind
):
    email = users[kind]
    wrong = auth_pb2.LoginRequest(email=email, password=PASSWORD[:-1])
    assert (await refusal(world.auth.Login(wrong))).reason == "CREDENTIALS_INVALID"
    before = stored(world, email)
    await world.login(email, PASSWORD)
    after = stored(world, email)
    assert after != before
    assert after.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await world.login(email, PASSWORD)
    assert stored(world, email) == after


async def test_a_long_password_of_bcrypt_fits_as_at_its_source_and_counts_whole_afterwards(world):
    one = line(password_hash=bcrypted(LONG))
    assert (await imported(world, [one]))[0] == 0
    await world.login(one["email"], LONG)
    cut = auth_pb2.LoginRequest(email=one["email"], password=LONG[:72])
    assert (await refusal(world.auth.Login(cut))).reason == "CREDENTIALS_INVALID"
    await world.login(one["email"], LONG)


async def test_what_a_line_says_is_taken_over(world):
    one = line(email_verified=True, created_at="2019-03-01T09:30:00+01:00", password_hash="")
    other = line()
    assert (await imported(world, [one, "", other]))[1] == ["2 imported, 0 taken, 0 refused"]
    assert stored(world, one["email"], "created_at").isoformat() == "2019-03-01T08:30:00+00:00"
    assert stored(world, one["email"], "email_verified_at IS NOT NULL")
    assert stored(world, one["email"]) is None
    assert not stored(world, other["email"], "email_verified_at IS NOT NULL")
    nobody = auth_pb2.LoginRequest(email=one["email"], password=PASSWORD)
    assert (await refusal(world.auth.Login(nobody))).reason == "CREDENTIALS_INVALID"


async def test_an_import_may_be_run_again_and_changes_nobody(world):
    lines = [line(), line()]
    assert (await imported(world, lines))[1] == ["2 imported, 0 taken, 0 refused"]
    again = {**lines[0], "email": lines[0]["email"].upper(), "password_hash": HASHES["argon2i"]}
    taken = ": the address is taken; left as it is"
    code, report, _ = await imported(world, [again, lines[1], line()])
    assert code == 0
    assert report == [f"line 1{taken}", f"line 2{taken}", "1 imported, 2 taken, 0 refused"]
    assert stored(world, lines[0]["email"]) == HASHES["bcrypt 2b"]


async def test_bad_lines_are_named_by_number_and_stop_nothing(world):
    costly = "$scrypt$ln=24,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$" + scrypted().rsplit("$", 1)[1]
    bad = {
        "{": "is no JSON",
        "[]": "is no JSON object",
        json.dumps(line(email="nobody")): "email must be a valid email address",
        json.dumps(line(first_name="")): "first_name is required",
        json.dumps(line(email=7)): "email must be a str",
        json.dumps(line(email_verified="yes")): "email_verified must be a bool",
        json.dumps(line(created_at="2019")): "created_at is no time as in 2024-01-31T12:00:00Z",
        json.dumps(
            line(created_at="2019-01-01T00:00:00")
        ): "created_at needs a time zone, as in 2024-01-31T12:00:00Z",
        json.dumps(line(password="x")): "has a field of another name than created_at, email,"
        " email_verified, first_name, last_name, password_hash",
        json.dumps(line(password_hash="0cc175b9c0f1b6a831c399e269772661")): "password_hash is of no"
        " kind that is known here",
        json.dumps(line(password_hash=costly)): "password_hash costs more than a login may",
        json.dumps(line(password_hash="$2b$31$" + bcrypted("x")[7:])): "password_hash costs more"
        " than a login may",
        json.dumps(line(password_hash="$6$salt")): "password_hash has no digest",
        json.dumps(line(password_hash="$2b$04$short")): "password_hash is no bcrypt hash",
    }
    code, report, complaint = await imported(world, [*bad, line()])
    assert code == 1
    assert complaint == "some lines were refused; mend them and run the import again\n"
    expected = [f"line {number}: {why}" for number, why in enumerate(bad.values(), start=1)]
    assert report == [*expected, f"1 imported, 0 taken, {len(bad)} refused"]
