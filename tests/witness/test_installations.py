"""Installations that watch each other, and what a witness shows of one that was set back."""

import json

import psycopg
import pytest

from tests.support.database import Database
from tests.support.events import event, record, settled
from tests.support.processes import running_processes
from tests.support.witnesses import write_policy
from tests.witness.installations import (
    checkpoints,
    cosigned,
    eventually,
    known_installation,
    latest_cosigned_by,
    names,
    watched_world,
)

ORIGINS = ["audit.example/a", "audit.example/b"]


@pytest.mark.soak
async def test_two_installations_watch_each_other(cluster, new_witness, tmp_path):
    databases = [cluster.new_database() for _ in ORIGINS]
    known = [
        await known_installation(database, log_origin=origin)
        for database, origin in zip(databases, ORIGINS, strict=True)
    ]
    # Each runs a witness that knows the other.
    at_a = await new_witness(known[1], 1)
    at_b = await new_witness(known[0], 2)
    policy_of_a = write_policy(tmp_path / "a", "all", await at_b.policy_line())
    policy_of_b = write_policy(tmp_path / "b", "all", await at_a.policy_line())
    await at_a.start()
    await at_b.start()
    async with (
        watched_world(databases[0], policy_of_a, log_origin=ORIGINS[0]) as a,
        watched_world(databases[1], policy_of_b, log_origin=ORIGINS[1]) as b,
    ):
        for world, witness, origin in ((a, at_b, ORIGINS[0]), (b, at_a, ORIGINS[1])):
            users = [await world.new_user() for _ in range(3)]
            for user in users:
                await settled(world, user)
                size = (await record(world, user, event())).proof.tree_size
                await latest_cosigned_by(world, user, size, witness.name)
                answer = await cosigned(world, user)
                assert names(answer) == [witness.name]
                assert answer.origin == f"{origin}/{user.organisation_id}"


def copy_of(cluster, database):
    """A backup of a database that nobody uses."""
    name = f"{database.name}_copy"
    with psycopg.connect(cluster.owner_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {database.name}")
    return Database(name, database.owner_url.replace(database.name, name))


@pytest.mark.soak
async def test_a_witness_shows_that_a_database_was_set_back(cluster, new_witness, tmp_path):
    database = cluster.new_database()
    witness = await new_witness(await known_installation(database), 1)
    policy = write_policy(tmp_path / "policy", "all", await witness.policy_line())
    await witness.start()
    async with watched_world(database, policy) as world:
        user = await world.new_user()
        await settled(world, user)
        await latest_cosigned_by(world, user, 1, witness.name)
    backup = copy_of(cluster, database)
    async with watched_world(database, policy) as world:
        for _ in range(5):
            last = (await record(world, user, event())).proof.tree_size
        await latest_cosigned_by(world, user, last, witness.name)
    # The backup grows anew, first to fewer entries than the witness has seen, then to more.
    settings = {"AUDIT_WITNESS_POLICY_FILE": str(policy), "AUDIT_CHECKPOINT_EVERY": "PT0.1S"}
    async with running_processes(backup, tmp_path, audit=settings):

        async def told(event_name):
            lines = map(json.loads, (tmp_path / "audit-0.log").read_text().splitlines())
            return [line for line in lines if line["event"] == event_name]

        async with watched_world(backup) as world:
            await record(world, user, event())
            (ahead,) = await eventually(lambda: told("witness.ahead"))
            assert ahead["organisation_id"] == user.organisation_id
            assert f"it has cosigned {last} entries" in ahead["reason"]
            for _ in range(10):
                size = (await record(world, user, event())).proof.tree_size
            assert size > last
            (refused,) = await eventually(lambda: told("witness.refused"))
            assert "422" in refused["reason"]
            # Nothing of the second history is cosigned.
            cosigned_ones = [one for one in await checkpoints(world, user) if names(one)]
            assert max(one.tree_size for one in cosigned_ones) < last
    assert any("refused" in line for line in witness.said)
