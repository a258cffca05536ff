"""Every checkpoint that was handed out is kept, and keys rotate with both signatures."""

import asyncio
import os

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.tlog.checkpoint import Checkpoint
from smart_audit.tlog.note import NoteError, Verifier, open_note, parse
from tests.support import forks
from tests.support.events import checkpoint, event, record, settled
from tests.support.world import refusal, running_world


async def history(world, user, **request):
    return await world.log.ListCheckpoints(
        audit_pb2.ListCheckpointsRequest(**request), metadata=user.metadata
    )


async def test_each_checkpoint_is_kept_and_a_state_is_signed_once(world):
    user = await world.new_user()
    states = [await settled(world, user)]
    for _ in range(4):
        await record(world, user, event())
        states.append(await checkpoint(world, user))
        assert await checkpoint(world, user) == states[-1]
    seen, token = [], ""
    while True:
        page = await history(world, user, page_size=2, page_token=token)
        assert len(page.checkpoints) <= 2
        seen += page.checkpoints
        token = page.next_page_token
        if not token:
            break
    wanted = [(state.tree_size, state.root_hash, state.note) for state in reversed(states)]
    found = [(one.tree_size, one.root_hash, one.note) for one in seen]
    assert found[: len(wanted)] == wanted


async def test_parallel_readers_of_one_state_get_one_checkpoint(world):
    user = await world.new_user()
    await settled(world, user)
    await record(world, user, event())
    states = await asyncio.gather(*(checkpoint(world, user) for _ in range(12)))
    assert len({state.note for state in states}) == 1


@pytest.mark.parametrize("token", ["x", "AAAA", "WyJMaXN0SG9sZHNSZXF1ZXN0IiwgMV0=", "e30=", "MQ=="])
async def test_a_bad_page_token_is_refused(world, token):
    user = await world.new_user()
    refused = await refusal(history(world, user, page_token=token))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.reason == "PAGE_TOKEN_INVALID"


async def rotate(world):
    process = await forks.start(
        "smart_audit.audit",
        "rotate-checkpoint-key",
        env={**os.environ, "AUDIT_DATABASE_URL": world.database.service_url("audit")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return said.decode()


async def test_after_a_rotation_both_keys_sign_and_then_the_new_one_alone(cluster):
    database = cluster.new_database()
    async with running_world(database) as world:
        user = await world.new_user()
        before = await settled(world, user)
        assert "checkpoint key 1 signs from now on" in await rotate(world)
        during = await checkpoint(world, user)
        assert during.tree_size == before.tree_size
        assert len(parse(during.note).signatures) == 2
        old, new = Verifier.parse(before.verifier_key), Verifier.parse(during.verifier_key)
        assert list(during.verifier_keys) == [during.verifier_key, before.verifier_key]
        assert old != new
        for key in (old, new):
            signed = Checkpoint.parse(open_note(during.note, [key]).text)
            assert signed.root == before.root_hash
    async with running_world(database, audit={"checkpoint_key_overlap": 0}) as world:
        await record(world, user, event())
        after = await checkpoint(world, user)
        open_note(after.note, [new])
        with pytest.raises(NoteError):
            open_note(after.note, [old])
        assert list(after.verifier_keys) == [during.verifier_key]
