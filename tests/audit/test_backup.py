"""A backup is no way around an erasure, when it is made as docs/operations.md says."""

import asyncio
import subprocess

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.stack.postgres import binary
from tests.support.events import checkpoint, event, get, record, settled, verify_event
from tests.support.governance import erase
from tests.support.world import refusal, running_world

KEYS = "audit.subject_keys"
ALL_FIELDS = {
    "actor.name",
    "actor.email",
    "source_address",
    "user_agent",
    "targets.0.name",
    "metadata",
}


async def run(program, *arguments):
    """Run a program of PostgreSQL."""
    command = [str(binary(program)), *map(str, arguments)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)


@pytest.fixture
async def dumped(cluster, tmp_path):
    """A database that was dumped before a person was erased, and its keys after that.

    Gives (user, events of the erased, event of somebody else, dump, dump of the keys).
    """
    database = cluster.new_database()
    async with running_world(database) as world:
        user = await world.new_user()
        await settled(world, user)
        erased, kept = event(), event(actor=event().actor)
        kept.actor.id, kept.actor.name = "u_2", "Bob"
        await record(world, user, erased)
        receipt = await record(world, user, kept)
        old, keys = tmp_path / "old.dump", tmp_path / "keys.dump"
        form = ("--format=custom", "--dbname", database.owner_url)
        await run("pg_dump", *form, f"--exclude-table-data={KEYS}", "--file", old)
        await erase(world, user, "u_1")
        await record(world, user, event())
        await run("pg_dump", *form, "--data-only", f"--table={KEYS}", "--file", keys)
    return user, erased, receipt, old, keys


async def restored(cluster, *dumps):
    database = cluster.empty_database()
    for dump in dumps:
        await run("pg_restore", "--exit-on-error", "--dbname", database.owner_url, dump)
    return database


async def test_an_old_dump_with_the_keys_of_today_does_not_open(cluster, dumped):
    user, erased, receipt, old, keys = dumped
    async with running_world(await restored(cluster, old, keys)) as world:
        assert (await checkpoint(world, user)).tree_size == receipt.proof.log_index + 1
        shown = await get(world, user, erased.id)
        assert set(shown.event.erased_fields) == ALL_FIELDS
        assert shown.disclosures == []
        other = await get(world, user, receipt.event_id)
        assert other.event.actor.name == "Bob"
        verify_event(other, receipt.proof)


async def test_a_dump_without_keys_opens_nothing_and_says_so(cluster, dumped):
    user, erased, receipt, old, _ = dumped
    async with running_world(await restored(cluster, old)) as world:
        for event_id in (erased.id, receipt.event_id):
            call = world.events.GetEvent(
                audit_pb2.GetEventRequest(event_id=event_id), metadata=user.metadata
            )
            assert (await refusal(call)).reason == "LOG_DAMAGED"
