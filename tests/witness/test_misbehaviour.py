"""Witnesses that are dead, slow or lying delay nothing and nobody, and leave no trace."""

import json
import time
from statistics import median

import pytest

from smart_audit.tlog.note import open_note
from tests.support.events import event, record, settled
from tests.support.processes import running_processes
from tests.support.witnesses import StrangeWitness, running_strangers, write_policy
from tests.support.world import free_port
from tests.witness import misbehaviour
from tests.witness.installations import (
    checkpoints,
    eventually,
    known_installation,
    latest_cosigned_by,
    names,
    watched_world,
)


async def test_a_stranger_that_behaves_is_believed(cluster, tmp_path):
    stranger = StrangeWitness("witness.example/own", misbehaviour.own)
    async with running_strangers(stranger):
        policy = write_policy(tmp_path / "policy", "1", stranger.policy_line)
        async with watched_world(cluster.new_database(), policy) as world:
            user = await world.new_user()
            await settled(world, user)
            checkpoint = await latest_cosigned_by(world, user, 1, stranger.name)
            open_note(checkpoint.note, [stranger.cosigner.verifier])


async def test_nobody_waits_for_witnesses_that_misbehave(cluster, new_witness, tmp_path):
    strangers = [
        StrangeWitness(f"witness.example/{answer.__name__}", answer)
        for answer in (*misbehaviour.LIES, *misbehaviour.SILENCES)
    ]
    dead = StrangeWitness("witness.example/dead", misbehaviour.never)
    dead.url = f"http://127.0.0.1:{free_port()}"
    nowhere = StrangeWitness("witness.example/nowhere", misbehaviour.never)
    nowhere.url = "https://witness.invalid/"
    database = cluster.new_database()
    good = await new_witness(await known_installation(database), 1)
    await good.start()
    async with running_strangers(*strangers):
        lines = [each.policy_line for each in (*strangers, dead, nowhere)]
        policy = write_policy(tmp_path / "policy", "any", *lines, await good.policy_line())
        async with watched_world(database, policy) as world:
            user = await world.new_user()
            await settled(world, user)

            async def all_were_asked():
                return all(each.asked for each in strangers)

            await eventually(all_were_asked)
            rounds = []
            for _ in range(5):
                before = time.monotonic()
                size = (await record(world, user, event())).proof.tree_size
                await latest_cosigned_by(world, user, size, good.name)
                rounds.append(time.monotonic() - before)
            # The one that never answers is given up after ten seconds, each time.
            assert median(rounds) < 5
            history = await checkpoints(world, user)
            assert {name for one in history for name in names(one)} == {good.name}
        # An outage is not answered by a storm.
        assert max(each.asked for each in strangers) < 30


@pytest.mark.soak
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (misbehaviour.out_of_order, "witness.unreachable"),
        (misbehaviour.garbage, "witness.refused"),
        (misbehaviour.far_ahead, "witness.ahead"),
    ],
)
async def test_trouble_is_told_once_and_so_is_its_end(cluster, tmp_path, answer, told):
    stranger = StrangeWitness("witness.example/x", answer)
    database = cluster.new_database()
    log = tmp_path / "audit-0.log"

    def lines(event_name):
        every = [json.loads(line) for line in log.read_text().splitlines()]
        return [line for line in every if line["event"] == event_name]

    async with watched_world(database) as world:
        user = await world.new_user()
        await settled(world, user)
    async with running_strangers(stranger):
        policy = write_policy(tmp_path / "policy", "1", stranger.policy_line)
        settings = {"AUDIT_WITNESS_POLICY_FILE": str(policy), "AUDIT_CHECKPOINT_EVERY": "PT0.1S"}
        async with running_processes(database, tmp_path, audit=settings):

            async def asked_often():
                return stranger.asked >= 3

            await eventually(asked_often)
            mine = user.organisation_id
            (line,) = [one for one in lines(told) if one.get("organisation_id", mine) == mine]
            assert line["witness"] == stranger.name
            assert line["level"] == "warning"
            stranger.answer = misbehaviour.own
            ends = {"witness.unreachable": "witness.reachable"}

            async def told_the_end():
                return lines(ends.get(told, "witness.cosigns_again"))

            await eventually(told_the_end)
