"""Signing keys come and go while calls go on."""

import asyncio
import os
from datetime import timedelta

import jwt
import pytest

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.domain import INSTALLATION
from tests.support import forks
from tests.support.events import leaves_of
from tests.support.gateway import running_gateway
from tests.support.machines import exchange, machines_of
from tests.support.processes import plain_environment
from tests.support.tokens import claims_of
from tests.support.world import ISSUER, running_world

LEAD = timedelta(seconds=5)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Processes look at the keys several times a second."""
    monkeypatch.setattr("smart_audit.auth.key_rotation.CHECK_EVERY", timedelta(seconds=0.2))


async def rotate(world):
    """The command, as an operator runs it."""
    process = await forks.start(
        "smart_audit.auth",
        "rotate-signing-key",
        stdout=asyncio.subprocess.PIPE,
        env=plain_environment() | {
            "AUTH_DATABASE_URL": world.database.service_url("auth"),
            "AUTH_SIGNING_KEY_LEAD": str(int(LEAD.total_seconds())),
            "AUTH_ISSUER": ISSUER,
        },
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == os.EX_OK
    assert b"is published, and signs from" in said
    return said.split()[1].decode()


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


async def published(world):
    return [key.kid for key in (await world.auth.GetJwks(auth_pb2.GetJwksRequest())).keys]


async def soon(condition):
    for _ in range(100):
        if found := await condition():
            return found
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen within five seconds")


class Calls:
    """Exchanges a key through the gateway again and again, and calls with each token."""

    def __init__(self, http, key):
        self.http, self.key = http, key
        self.first = ""
        self.kids, self.statuses = set(), []

    async def run(self):
        while True:
            answer = await self.http.post("/oauth/token", data=exchange(self.key))
            token = answer.json()["access_token"]
            self.first = self.first or token
            self.kids.add(kid_of(token))
            # The newest token, and one of the old key that still lives.
            for one in (token, self.first):
                headers = {"authorization": f"Bearer {one}"}
                got = await self.http.get("/v1/events?page_size=1", headers=headers)
                self.statuses.append(got.status_code)
            await asyncio.sleep(0.01)


@pytest.mark.soak
async def test_a_rotation_lets_no_call_fail(cluster):
    async with (
        running_world(cluster.new_database(), auth={"signing_key_lead": LEAD}) as world,
        running_gateway(world, keys_cached_for="1s") as gateway,
        machines_of(world) as machines,
    ):
        key = await machines.new_machine(await world.new_user())
        calls = Calls(gateway.http, key)
        task = asyncio.create_task(calls.run())
        new = await rotate(world)
        await soon(lambda: among(new, world))
        assert new not in calls.kids
        while new not in calls.kids:
            assert not task.done()
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        task.cancel()
        assert len(calls.statuses) > 20
        assert set(calls.statuses) == {200}
        await old_keys_are_destroyed(world, new, calls.first)


async def among(key_id, world):
    return key_id in await published(world)


async def old_keys_are_destroyed(world, new, old_token):
    with world.database.connect() as connection:
        ((kept_for,),) = connection.execute(
            "SELECT retires_at - now() FROM auth.signing_keys WHERE id = %s", [kid_of(old_token)]
        ).fetchall()
        # Until the last token that it signed has expired, by anybody's clock.
        assert kept_for > timedelta(minutes=30)
        assert claims_of(old_token)["exp"] - claims_of(old_token)["iat"] == 30 * 60
        connection.execute(
            "UPDATE auth.signing_keys SET retires_at = now() WHERE retires_at IS NOT NULL"
        )

        async def alone():
            rows = connection.execute("SELECT id FROM auth.signing_keys").fetchall()
            return rows == [(new,)] and await published(world) == [new]

        await soon(alone)


async def test_a_key_is_rotated_by_schedule_and_the_log_tells(cluster):
    settings = {"signing_key_rotate_every": timedelta(days=30), "signing_key_lead": LEAD}
    async with running_world(cluster.new_database(), auth=settings) as world:
        (old,) = await published(world)
        await asyncio.sleep(0.5)
        assert await published(world) == [old]
        with world.database.connect() as connection:
            connection.execute(
                "UPDATE auth.signing_keys SET created_at = created_at - interval '30 days'"
            )

        async def two():
            found = await published(world)
            return found if len(found) == 2 else None

        new, kept = await soon(two)
        assert kept == old
        await asyncio.sleep(0.5)
        assert await published(world) == [new, old]

        async def told():
            leaves = [
                leaf
                for leaf in leaves_of(world, str(INSTALLATION))
                if b"auth.signing_key.rotate" in leaf
            ]
            return any(new.encode() in leaf for leaf in leaves)

        await soon(told)
