"""An export survives SIGKILL of the process that writes it, and has each event once."""

import asyncio
import hashlib

import pytest

from tests.faults.test_killed_services import channel_to, world_of
from tests.support.events import event, record_batch, settled
from tests.support.exports import download, file_of, id_of, order, until_done
from tests.support.processes import running_processes

# Of some megabytes, so that it takes many chunks.
EVENTS = 60
# What comes behind the first megabytes of a file waits in the middle of its transaction.
STALL = """
CREATE FUNCTION audit.stall() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.first_byte > 3000000 THEN
        PERFORM pg_sleep(25);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER stall BEFORE INSERT ON audit.export_chunks
    FOR EACH ROW EXECUTE FUNCTION audit.stall();
"""
STALLED = """
SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()
"""
LET_GO = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE wait_event = 'PgSleep' AND datname = current_database()
"""
SETTINGS = {"AUDIT_EXPORT_LEASE": "1", "AUDIT_EXPORT_EVERY": "1"}


@pytest.mark.soak
async def test_an_export_goes_on_behind_what_a_killed_process_has_kept(cluster, tmp_path):
    database = cluster.new_database()
    async with (
        running_processes(database, tmp_path, audit=SETTINGS) as (auth, (audit,)),
        channel_to(auth.port) as auth_channel,
        channel_to(audit.port) as audit_channel,
    ):
        world = world_of(database, auth, audit, auth_channel, audit_channel)
        user = await world.new_user()
        await settled(world, user)
        for _ in range(EVENTS // 10):
            large = {"text": "x" * 200_000}
            await record_batch(world, user, [event(metadata=large) for _ in range(10)])
        export_id = await killed_while_writing(world, user, audit)
        kept = chunks(database, export_id)
        assert kept
        await audit.start()
        file = file_of(await until_done(world, user, export_id))
        assert chunks(database, export_id)[: len(kept)] == kept
        got = await download(world, user, export_id)
    assert hashlib.sha256(got.data).hexdigest() == file.sha256
    assert [int(one["log_index"]) for one in got.events] == list(range(file.events))
    assert (got.end["complete"], got.end["events"]) == (True, str(file.events))


async def killed_while_writing(world, user, audit):
    """Kill the service once it has kept a part of an export; gives that export's id."""
    database = world.database
    await asyncio.to_thread(database.execute, STALL)
    export_id = id_of(await order(world, user))
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(database.execute, STALLED):
            await asyncio.sleep(0.05)
    await audit.kill()
    # Postgres would learn only later that nobody waits for it any more.
    await asyncio.to_thread(database.execute, LET_GO)
    await asyncio.to_thread(database.execute, "DROP TRIGGER stall ON audit.export_chunks")
    return export_id


def chunks(database, export_id):
    return database.execute(
        "SELECT first_byte, sealed FROM audit.export_chunks WHERE export_id = %s"
        " ORDER BY first_byte",
        export_id,
    )
