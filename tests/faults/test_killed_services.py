"""What was acknowledged survives SIGKILL, and nothing is doubled."""

import asyncio
import json
import random

import grpc
import grpc.aio
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from tests.support.events import checkpoint, event, record_batch, settled, verify
from tests.support.processes import running_processes
from tests.support.world import world_over


def world_of(database, auth, audit, auth_channel, audit_channel):
    return world_over(database, (auth.port, audit.port), auth_channel, audit_channel)


def channel_to(port):
    options = [
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.min_reconnect_backoff_ms", 50),
        ("grpc.max_reconnect_backoff_ms", 200),
    ]
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)


async def persistently(world, user, batch):
    """Send a batch until it is answered, as a client with retries does."""
    for _ in range(400):
        try:
            return await record_batch(world, user, batch)
        except grpc.aio.AioRpcError as error:
            if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                raise
            await asyncio.sleep(0.05)
    raise TimeoutError("the batch was never answered")


def stored_log(world, user):
    """The log as it stands in the tables: (log_index, event_id, leaf_hash), in order."""
    with world.database.connect() as connection:
        return connection.execute(
            "SELECT log_index, event_id::text, leaf_hash FROM audit.entries"
            " WHERE organisation_id = %s ORDER BY log_index",
            [user.organisation_id],
        ).fetchall()


async def test_killing_audit_loses_and_doubles_nothing(cluster, tmp_path):
    chance = random.Random(7)
    async with (
        running_processes(database := cluster.new_database(), tmp_path) as (auth, (audit,)),
        channel_to(auth.port) as auth_channel,
        channel_to(audit.port) as audit_channel,
    ):
        world = world_of(database, auth, audit, auth_channel, audit_channel)
        user = await world.signed_up()
        batches = [[event() for _ in range(20)] for _ in range(50)]
        senders = [asyncio.create_task(persistently(world, user, batch)) for batch in batches[:30]]
        for round_ in range(2):
            await asyncio.sleep(chance.uniform(0.02, 0.15))
            await audit.kill()
            await audit.start()
            more = batches[30 + 10 * round_ : 40 + 10 * round_]
            senders += [asyncio.create_task(persistently(world, user, one)) for one in more]
        answers = await asyncio.gather(*senders)
        state = await settled(world, user, 2 + 1000)
    receipts = [result.receipt for answer in answers for result in answer]
    assert len(receipts) == 1000
    assert state.tree_size == 1002
    assert len({receipt.proof.log_index for receipt in receipts}) == 1000
    for receipt in receipts:
        verify(receipt.proof)


@pytest.mark.soak
async def test_two_processes_write_one_log_without_a_fork(cluster, tmp_path):
    database = cluster.new_database()
    async with (
        running_processes(database, tmp_path, audit_workers=2) as (auth, audits),
        channel_to(auth.port) as auth_channel,
        channel_to(audits[0].port) as first_channel,
        channel_to(audits[1].port) as second_channel,
    ):
        first = world_of(database, auth, audits[0], auth_channel, first_channel)
        second = world_of(database, auth, audits[1], auth_channel, second_channel)
        user = await first.signed_up()
        await settled(first, user)
        shared = [event() for _ in range(100)]
        sends = [record_batch(first, user, [event() for _ in range(9)]) for _ in range(25)]
        sends += [record_batch(second, user, [event() for _ in range(9)]) for _ in range(25)]
        sends += [record_batch(world, user, shared) for world in (first, second)]
        *answers, one, other = await asyncio.gather(*sends)
        assert one == other
        states = [await checkpoint(world, user) for world in (first, second)]
        assert states[0] == states[1]
        log = stored_log(first, user)
    assert [row[0] for row in log] == list(range(2 + 450 + 100))
    growth = grow(CompactRange.empty(), [bytes(row[2]) for row in log])
    assert (growth.after.size, growth.root) == (states[0].tree_size, states[0].root_hash)
    for answer in answers:
        for result in answer:
            verify(result.receipt.proof)


async def test_auth_killed_after_a_decision_still_tells_of_it(cluster, tmp_path):
    async with (
        running_processes(database := cluster.new_database(), tmp_path) as (auth, (audit,)),
        channel_to(auth.port) as auth_channel,
        channel_to(audit.port) as audit_channel,
    ):
        await audit.kill()
        world = world_of(database, auth, audit, auth_channel, audit_channel)
        user = await world.signed_up()
        await auth.kill()
        await asyncio.gather(audit.start(), auth.start())
        await settled(world, user, 2)
        listing = await world.events.ListEvents(
            audit_pb2.ListEventsRequest(), metadata=user.metadata
        )
    assert sorted(one.action for one in listing.events) == ["auth.login", "auth.signup"]


async def test_services_stop_cleanly_and_log_no_secret(cluster, tmp_path):
    async with (
        running_processes(database := cluster.new_database(), tmp_path) as (auth, (audit,)),
        channel_to(auth.port) as auth_channel,
        channel_to(audit.port) as audit_channel,
    ):
        world = world_of(database, auth, audit, auth_channel, audit_channel)
        user = await world.signed_up()
        await settled(world, user)
        assert [await auth.stop(), await audit.stop()] == [0, 0]
    text = auth.log.read_text() + audit.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    handled = [line for line in lines if line["event"] == "rpc.handled"]
    assert {"method", "code", "duration_ms", "request_id", "service"} <= set(handled[0])
    checkpoints = [line for line in handled if line["method"].endswith("/GetCheckpoint")]
    assert checkpoints[0]["organisation_id"] == user.organisation_id
    for secret in ("battery staple", user.access_token, user.refresh_token, user.email, "argon2"):
        assert secret not in text
