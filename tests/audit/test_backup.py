"""Backups, made and restored by the very commands of docs/backup.md: a restored log is the one that
was and goes on, and a backup is no way around an erasure."""

import asyncio
import os
import re
from pathlib import Path

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.stack import backup
from smart_audit.stack.postgres import binary
from smart_audit.stack.problem import Problem
from smart_audit.tlog.proofs import verify_consistency
from tests.support.events import checkpoint, event, get, record, settled, verify_event
from tests.support.governance import erase
from tests.support.world import free_port, refusal, running_world

GUIDE = Path(__file__).parents[2] / "docs" / "backup.md"
DUMP_LOG, DUMP_KEYS = re.findall(r"^pg_dump .*$", GUIDE.read_text(), re.MULTILINE)
RESTORE_LOG, RESTORE_KEYS = re.findall(r"^pg_restore .*$", GUIDE.read_text(), re.MULTILINE)
ALL_FIELDS = {
    "actor.name",
    "actor.email",
    "source_address",
    "user_agent",
    "targets.0.name",
    "metadata",
}


async def typed(command, folder, database):
    """Run a command of the guide as it stands there."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        command,
        cwd=folder,
        env={
            "PATH": f"{binary('psql').parent}:{os.environ['PATH']}",
            "DATABASE_URL": database.owner_url,
            "NEW_DATABASE_URL": database.owner_url,
        },
    )
    assert await process.wait() == 0


@pytest.fixture
async def dumped(cluster, tmp_path):
    """A database that was dumped before a person was erased, and its keys after that.

    Gives (user, event of the erased, receipt of somebody else's, folder of both dumps).
    """
    database = cluster.new_database()
    async with running_world(database) as world:
        user = await world.new_user()
        await settled(world, user)
        erased, kept = event(), event(actor=event().actor)
        kept.actor.id, kept.actor.name = "u_2", "Bob"
        await record(world, user, erased)
        receipt = await record(world, user, kept)
        await typed(DUMP_LOG, tmp_path, database)
        await erase(world, user, "u_1")
        await record(world, user, event())
        await typed(DUMP_KEYS, tmp_path, database)
    return user, erased, receipt, tmp_path


async def restored(cluster, folder, *commands):
    database = cluster.empty_database()
    for command in commands:
        await typed(command, folder, database)
    return database


async def test_an_old_dump_with_the_keys_of_today_does_not_open(cluster, dumped):
    user, erased, receipt, folder = dumped
    async with running_world(await restored(cluster, folder, RESTORE_LOG, RESTORE_KEYS)) as world:
        assert (await checkpoint(world, user)).tree_size == receipt.proof.log_index + 1
        shown = await get(world, user, erased.id)
        assert set(shown.event.erased_fields) == ALL_FIELDS
        assert shown.disclosures == []
        other = await get(world, user, receipt.event_id)
        assert other.event.actor.name == "Bob"
        verify_event(other, receipt.proof)


async def test_a_dump_without_keys_opens_nothing_and_says_so(cluster, dumped):
    user, erased, receipt, folder = dumped
    async with running_world(await restored(cluster, folder, RESTORE_LOG)) as world:
        for event_id in (erased.id, receipt.event_id):
            call = world.events.GetEvent(
                audit_pb2.GetEventRequest(event_id=event_id), metadata=user.metadata
            )
            assert (await refusal(call)).reason == "LOG_DAMAGED"


async def test_a_restored_log_is_the_one_that_was_and_goes_on(cluster, tmp_path):
    database, empty = cluster.new_database(), cluster.empty_database()
    async with running_world(database) as world:
        user = await world.new_user()
        await settled(world, user)
        first = event()
        receipt = await record(world, user, first)
        kept = await checkpoint(world, user)
        # The services go on meanwhile.
        made = await asyncio.to_thread(backup.make, database.owner_url, tmp_path)
        await record(world, user, event())
    await asyncio.to_thread(backup.restore, empty.owner_url, made)
    async with running_world(empty) as world:
        again = await checkpoint(world, user)
        assert (again.tree_size, again.root_hash) == (kept.tree_size, kept.root_hash)
        verify_event(await get(world, user, first.id), receipt.proof)
        user = await world.login(user.email)
        await record(world, user, event())
        grown = await checkpoint(world, user)
        proof = await world.log.GetConsistencyProof(
            audit_pb2.GetConsistencyProofRequest(
                first_size=kept.tree_size, second_size=grown.tree_size
            ),
            metadata=user.metadata,
        )
        verify_consistency(
            kept.tree_size, grown.tree_size, proof.hashes, kept.root_hash, grown.root_hash
        )
    with pytest.raises(Problem, match="holds data already"):
        await asyncio.to_thread(backup.restore, empty.owner_url, made)


def test_of_a_backup_that_has_failed_nothing_is_left(tmp_path):
    with pytest.raises(Problem, match="pg_dump has failed"):
        backup.make(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_backup_is_not_restored(cluster, tmp_path):
    made = backup.make(cluster.new_database().owner_url, tmp_path)
    empty = cluster.empty_database()
    with (made / backup.LOG_DUMP).open("r+b") as dump:
        dump.seek(100)
        dump.write(b"?")
    with pytest.raises(Problem, match=r"log\.dump is not the file that was backed up"):
        backup.restore(empty.owner_url, made)
    (made / backup.MANIFEST).unlink()
    with pytest.raises(Problem, match="no whole backup"):
        backup.restore(empty.owner_url, made)
    assert list(tmp_path.iterdir()) == [made]
