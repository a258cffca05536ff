"""What has expired is removed, and nothing else."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest

from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.repository import CONNECTION_OPTIONS, Work
from smart_audit.auth.repository.expired import KEPT
from smart_audit.auth.sweeper import Sweeper
from smart_audit.core.database import open_engine
from smart_audit.core.ids import utc_now
from tests.support.world import refusal

HOUR = timedelta(hours=1)
SOMEBODY = uuid4()

PEOPLE = """
INSERT INTO auth.users (id, email, email_canonical, first_name, last_name, created_at)
    VALUES ('{id}', 'ada@x.test', 'ada@x.test', 'Ada', 'Lovelace', now());
INSERT INTO auth.organisations (id, name, created_at) VALUES ('{id}', 'Ada', now());
INSERT INTO auth.sessions (id, user_id, organisation_id, created_at, expires_at, authenticated_at,
    last_used_at) VALUES ('{id}', '{id}', '{id}', now(), now() + interval '1 day', now(), now());
"""
# A row of each table that expires at %(at)s, named %(name)s where it has a name.
ROWS = {
    "cache": "(key, expires_at) VALUES (%(name)s, %(at)s)",
    "revocations": "VALUES (%(name)s::text::bytea, now(), %(at)s)",
    "challenges": "(token_hash, purpose, created_at, expires_at)"
    " VALUES (%(name)s::text::bytea, 'test', now(), %(at)s)",
    "refresh_tokens": "VALUES (%(name)s::text::bytea, %(id)s, %(at)s)",
    "sessions": "(id, user_id, organisation_id, created_at, expires_at, authenticated_at,"
    " last_used_at) VALUES (gen_random_uuid(), %(id)s, %(id)s, now(), %(at)s, now(), now())",
    "invitations": "(id, organisation_id, email, email_canonical, role, token_hash, invited_by,"
    " created_at, expires_at) VALUES (gen_random_uuid(), %(id)s, %(name)s, %(name)s, 'member',"
    " %(name)s::text::bytea, %(id)s, now(), %(at)s)",
}


@pytest.fixture(scope="module")
def database(cluster):
    """A database that no service works on, with one person and one session."""
    database = cluster.new_database()
    with database.connect() as connection:
        connection.execute(PEOPLE.replace("{id}", str(SOMEBODY)))
    return database


@asynccontextmanager
async def sweeper_of(database):
    url = database.service_url("auth")
    async with open_engine(
        url, pool_size=2, application="test", options=CONNECTION_OPTIONS
    ) as engine:
        yield Sweeper(Work(engine), utc_now)


def add(connection, table, name, at):
    values = {"name": name, "at": at, "id": SOMEBODY}
    connection.execute(f"INSERT INTO auth.{table} {ROWS[table]}", values)


async def test_each_table_is_swept_of_what_is_over_and_keeps_the_rest(database):
    async with sweeper_of(database) as sweeper:
        now = utc_now()
        with database.connect() as connection:
            before = counts(connection)
            for table, kept in KEPT.items():
                for number in range(3):
                    add(connection, table, f"over {table} {number}", now - kept - HOUR)
                add(connection, table, f"still {table}", now - kept + HOUR)
            assert await sweeper.sweep() == dict.fromkeys(KEPT, 3)
            assert counts(connection) == {table: count + 1 for table, count in before.items()}


def counts(connection):
    return {
        table: connection.execute(f"SELECT count(*) FROM auth.{table}").fetchone()[0]
        for table in KEPT
    }


async def test_a_sweep_goes_in_bounded_batches_and_leaves_what_others_hold(database):
    async with sweeper_of(database) as sweeper:
        with database.connect() as connection, database.connect() as other:
            for number in range(25):
                add(connection, "cache", f"batch {number}", utc_now() - HOUR)
            with other.transaction():
                other.execute("SELECT FROM auth.cache WHERE key = 'batch 7' FOR UPDATE")
                removed = await asyncio.wait_for(sweeper.sweep(batch=10), 10)
            assert removed["cache"] == 24
        assert (await sweeper.sweep())["cache"] == 1


async def test_the_tokens_of_a_session_that_is_over_go_with_it(world):
    user = await world.new_user()
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.sessions SET expires_at = now() - interval '2 days' WHERE id = %s",
            [user.session_id],
        )
    async with sweeper_of(world.database) as sweeper:
        assert (await sweeper.sweep())["sessions"] >= 1
    request = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    assert (await refusal(world.auth.RefreshToken(request))).reason == "TOKEN_INVALID"
