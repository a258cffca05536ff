"""Checkpoints are signed as logs grow, and witnesses cosign them."""

import asyncio
from hashlib import sha256

import aiohttp
import grpc
import pytest

from smart_audit.tlog.policy import Policy
from tests.support.events import event, record, settled
from tests.support.gateway import running_gateway
from tests.support.logs import PUBLIC, open_to
from tests.support.processes import running_processes
from tests.support.witnesses import write_policy
from tests.support.world import refusal
from tests.witness.installations import (
    checkpoints,
    cosigned,
    eventually,
    known_installation,
    latest_cosigned_by,
    names,
    watched_world,
)


async def test_a_log_that_grows_is_signed_though_nobody_asks(cluster):
    async with watched_world(cluster.new_database()) as world:
        user = await world.new_user()
        await settled(world, user)
        receipt = await record(world, user, event())
        size = receipt.proof.tree_size

        async def signed():
            return [one for one in await checkpoints(world, user) if one.tree_size == size]

        await eventually(signed)
        # And a log that stands still is signed no more.
        before = await checkpoints(world, user)
        await asyncio.sleep(0.5)
        assert await checkpoints(world, user) == before


async def test_without_witnesses_nothing_is_cosigned_and_the_remedy_is_named(world):
    user = await world.new_user()
    refused = await refusal(cosigned(world, user))
    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.reason == "CHECKPOINT_NOT_FOUND"
    assert "AUDIT_WITNESS_POLICY_FILE" in refused.message


@pytest.mark.soak
async def test_two_of_three_witnesses_satisfy_the_policy(cluster, new_witness, tmp_path):
    database = cluster.new_database()
    known = await known_installation(database)
    one, two, three = [await new_witness(known, number) for number in (1, 2, 3)]
    lines = [await each.policy_line() for each in (one, two, three)]
    policy = write_policy(tmp_path / "policy", "2", *lines)
    await one.start()
    async with watched_world(database, policy) as world:
        user = await world.new_user()
        await settled(world, user)
        size = (await record(world, user, event())).proof.tree_size
        await latest_cosigned_by(world, user, size, one.name)
        refused = await refusal(cosigned(world, user))
        assert refused.reason == "CHECKPOINT_NOT_FOUND"
        assert refused.metadata["quorum"] == "all-of-them"
        # A witness that comes back is found again, and cosigns what it has missed.
        await two.start()
        await latest_cosigned_by(world, user, size, one.name, two.name)
        answer = await cosigned(world, user)
        assert answer.tree_size >= size
        assert {one.name, two.name} == {each.witness for each in answer.cosignatures}
        # A stranger with the policy and the log's key believes it.
        text = f"log {answer.verifier_key}\n{policy.read_text()}"
        checkpoint, _ = Policy.parse(text).open(answer.note)
        assert (checkpoint.size, checkpoint.root) == (answer.tree_size, answer.root_hash)
        await one.stop()
        # It stays while the newest state is cosigned by one alone.
        later = (await record(world, user, event())).proof.tree_size
        await latest_cosigned_by(world, user, later, two.name)
        assert await cosigned(world, user) == answer


async def test_after_a_restart_the_witness_tells_where_it_stands(cluster, new_witness, tmp_path):
    database = cluster.new_database()
    witness = await new_witness(await known_installation(database), 1)
    policy = write_policy(tmp_path / "policy", "all", await witness.policy_line())
    await witness.start()
    async with watched_world(database, policy) as world:
        user = await world.new_user()
        await settled(world, user)
        await latest_cosigned_by(world, user, 1, witness.name)
    async with watched_world(database, policy) as world:
        for _ in range(3):
            size = (await record(world, user, event())).proof.tree_size
            answer = await latest_cosigned_by(world, user, size, witness.name)
            assert answer.tree_size == size
    # What is at stake for the witness is in its own log; there was nothing to refuse.
    await witness.stop()
    assert [line for line in witness.said if "listens on" not in line] == []


@pytest.mark.soak
async def test_the_public_reads_the_cosigned_checkpoint_if_it_asks_for_it(
    cluster, new_witness, tmp_path
):
    database = cluster.new_database()
    known = await known_installation(database)
    one, dead = [await new_witness(known, number) for number in (1, 2)]
    lines = [await each.policy_line() for each in (one, dead)]
    any_of_them = write_policy(tmp_path / "any", "any", *lines)
    await one.start()
    async with watched_world(database, any_of_them) as world, running_gateway(world) as gateway:
        user = await world.new_user()
        await settled(world, user)
        open_to(database, user.organisation_id, PUBLIC)
        size = (await record(world, user, event())).proof.tree_size
        await latest_cosigned_by(world, user, size, one.name)
        log = f"/v1/logs/{user.organisation_id}"
        key = (await gateway.http.get(f"{log}/key")).text.strip()
        answer = await gateway.http.get(f"{log}/checkpoint", params={"cosigned": "true"})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        trusted = Policy.parse(f"log {key}\n{any_of_them.read_text()}")
        assert trusted.open(answer.text)[0].size >= size
    all_of_them = write_policy(tmp_path / "all", "all", *lines)
    async with watched_world(database, all_of_them) as world, running_gateway(world) as gateway:
        answer = await gateway.http.get(f"{log}/checkpoint", params={"cosigned": "true"})
        assert answer.status_code == 404
        assert answer.json()["details"][0]["reason"] == "CHECKPOINT_NOT_FOUND"
        # The newest is there for all, whatever witnesses do.
        assert (await gateway.http.get(f"{log}/checkpoint")).status_code == 200


@pytest.mark.soak
async def test_several_processes_of_audit_keep_one_line_a_witness(cluster, new_witness, tmp_path):
    database = cluster.new_database()
    known = await known_installation(database)
    witnesses = [await new_witness(known, number) for number in (1, 2)]
    lines = [await each.policy_line() for each in witnesses]
    policy = write_policy(tmp_path / "policy", "all", *lines)
    for each in witnesses:
        await each.start()
    settings = {"AUDIT_WITNESS_POLICY_FILE": str(policy), "AUDIT_CHECKPOINT_EVERY": "PT0.1S"}
    async with (
        running_processes(database, tmp_path, 3, settings),
        watched_world(database) as world,
    ):
        user = await world.new_user()
        await settled(world, user)
        for _ in range(10):
            size = (await record(world, user, event())).proof.tree_size
            await latest_cosigned_by(world, user, size, *(each.name for each in witnesses))
        history = await checkpoints(world, user)
    for checkpoint in history:
        lines = checkpoint.note.partition("\n\n")[2].splitlines()
        assert len(lines) == len({line.split()[1] for line in lines})
    for each in witnesses:
        await each.stop()
        assert [line for line in each.said if "listens on" not in line] == []


async def test_a_row_that_is_not_ours_gets_no_cosignature(cluster, new_witness, tmp_path):
    database = cluster.new_database()
    witness = await new_witness(await known_installation(database), 1)
    policy = write_policy(tmp_path / "policy", "all", await witness.policy_line())
    async with watched_world(database) as world:
        user = await world.new_user()
        await settled(world, user)
    with database.connect() as connection:
        connection.execute("UPDATE audit.checkpoints SET signed_at = signed_at - interval '1 day'")
    await witness.start()
    digest = sha256(f"localhost/smart-audit/{user.organisation_id}".encode()).hexdigest()
    async with watched_world(database, policy) as world, aiohttp.ClientSession() as http:

        async def seen_by_witness():
            async with http.get(f"{witness.url}/{digest}/checkpoint") as answer:
                return answer.status == 200

        await eventually(seen_by_witness)
        assert [names(one) for one in await checkpoints(world, user) if names(one)] == []
