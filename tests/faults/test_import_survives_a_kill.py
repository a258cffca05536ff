"""The import of the real records, with audit killed in the middle of it."""

import asyncio
import sys
from pathlib import Path

import pytest

from smart_audit.tlog.append import grow
from smart_audit.tlog.compact import CompactRange
from tests.faults.test_killed_services import channel_to, stored_log, world_of
from tests.support.events import checkpoint, settled
from tests.support.processes import plain_environment, running_processes

RECORDS = Path(__file__).parents[1] / "data" / "cloudtrail" / "events.jsonl.gz"
COUNT = 2_900


async def smart_audit(*arguments, **environment):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "smart_audit.cli",
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**plain_environment(), **environment},
    )


@pytest.mark.soak
async def test_killing_audit_in_the_middle_of_an_import(cluster, tmp_path):
    database = cluster.new_database()
    async with (
        running_processes(database, tmp_path) as (auth, (audit,)),
        channel_to(auth.port) as auth_channel,
        channel_to(audit.port) as audit_channel,
    ):
        world = world_of(database, auth, audit, auth_channel, audit_channel)
        user = await world.new_user()
        before = await settled(world, user)
        command = {
            "SMART_AUDIT_ADDRESS": f"127.0.0.1:{audit.port}",
            "SMART_AUDIT_TOKEN": user.access_token,
        }
        importing = await smart_audit("import", "cloudtrail", RECORDS, **command)
        for threshold in (300, 1500):
            while len(stored_log(world, user)) < threshold and importing.returncode is None:
                await asyncio.sleep(0.005)
            assert importing.returncode is None, "the import was over before the kill"
            await audit.kill()
            await audit.start()
        out, err = await asyncio.wait_for(importing.communicate(), 60)
        assert importing.returncode == 0, err.decode()
        assert str(COUNT) in out.decode().replace(",", "")
        log = stored_log(world, user)
        state = await checkpoint(world, user)
        assert state.tree_size == len(log) == before.tree_size + COUNT
        assert len({event_id for _, event_id, _ in log}) == len(log)
    growth = grow(CompactRange.empty(), [bytes(leaf_hash) for _, _, leaf_hash in log])
    assert (growth.after.size, growth.root) == (state.tree_size, state.root_hash)
