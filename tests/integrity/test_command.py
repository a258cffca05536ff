"""`python -m smart_audit.audit verify-database`: verdicts, exit codes, and what is remembered."""

import asyncio
import os
from dataclasses import dataclass

import pytest

from smart_audit.audit.integrity.database import OF_ORGANISATIONS
from tests.integrity.copies import copied, execute
from tests.integrity.making import login
from tests.support import forks
from tests.support.events import event, record_batch
from tests.support.world import running_world


@dataclass
class Ended:
    """A command that has come to its end."""

    code: int
    output: str
    errors: str


@pytest.fixture
def verify(tmp_path):
    """Run the command on a database, with a state folder of the test's own."""

    async def run(database, **environment):
        process = await forks.start(
            "smart_audit.audit",
            "verify-database",
            env={
                **os.environ,
                "XDG_STATE_HOME": str(tmp_path),
                "AUDIT_DATABASE_URL": database.service_url("audit"),
                "AUDIT_MIGRATION_DATABASE_URL": database.owner_url,
            }
            | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        return Ended(process.returncode, output.decode(), errors.decode())

    return run


def entries_of(database):
    with database.connect() as connection:
        return connection.execute("SELECT count(*) FROM audit.entries").fetchone()[0]


async def more(database, user, count):
    """Let a user's log go on."""
    async with running_world(database) as world:
        again = await login(world, user)
        await record_batch(world, again, [event() for _ in range(count)])


async def test_what_is_right_is_said_in_one_sentence(verify, database):
    ended = await verify(database)
    entries = f"{entries_of(database)} entries in 2 logs"
    assert (ended.code, ended.output) == (
        0,
        f"verified {entries}: everything in the database agrees\n",
    )
    assert "verifying log 2 of 2" in ended.errors


async def test_what_was_changed_is_named_and_the_exit_code_is_6(verify, database, user):
    execute(database, "UPDATE audit.payloads SET action = 'x' WHERE log_index = 90")
    ended = await verify(database)
    assert ended.code == 6
    entries = f"{entries_of(database)} entries in 2 logs"
    assert ended.output == f"verification failed: 1 finding, among {entries}\n"
    place = f"audit.payloads, organisation {user.organisation_id}, log index 90"
    assert f"{place}: action is not that of the leaf\n" in ended.errors


async def test_of_many_findings_the_first_are_shown(verify, database):
    execute(database, "UPDATE audit.payloads SET outcome = 7 WHERE log_index % 2 = 0")
    ended = await verify(database)
    shown = ended.errors.count("outcome is not that of the leaf")
    assert (ended.code, shown) == (6, 20)
    assert "\nand 2" in ended.errors


@pytest.mark.soak
async def test_an_older_backup_is_a_rollback(verify, cluster, database, user):
    backup = copied(cluster, database)
    await more(database, user, 3)
    assert (await verify(database)).code == 0
    # What was remembered stays, so that the next run tells it again.
    for _ in range(2):
        ended = await verify(backup)
        assert ended.code == 6
        assert f"audit.logs, organisation {user.organisation_id}: rolled back: it had 5" in (
            ended.errors
        )
    assert (await verify(database)).code == 0


@pytest.mark.soak
async def test_a_log_with_another_past_is_a_fork(verify, cluster, database, user):
    backup = copied(cluster, database)
    await more(database, user, 2)
    await more(backup, user, 5)
    assert (await verify(database)).code == 0
    ended = await verify(backup)
    assert ended.code == 6
    assert f"audit.logs, organisation {user.organisation_id}: forked: it had" in ended.errors


async def test_a_log_that_is_gone_altogether_is_a_rollback(verify, database, user):
    assert (await verify(database)).code == 0
    execute(
        database,
        *(
            f"DELETE FROM audit.{table} WHERE organisation_id = '{user.organisation_id}'"
            for table in OF_ORGANISATIONS
        ),
    )
    ended = await verify(database)
    assert ended.code == 6
    assert ended.output == "verification failed: 1 finding, among 9 entries in 1 log\n"
    assert f"organisation {user.organisation_id}: rolled back: the whole log is gone" in (
        ended.errors
    )


async def test_a_log_goes_on_between_two_runs(verify, database, user):
    assert (await verify(database)).code == 0
    await more(database, user, 3)
    assert (await verify(database)).code == 0


async def test_a_table_that_is_gone_is_a_finding(verify, database):
    execute(database, "DROP TABLE audit.holds")
    ended = await verify(database)
    assert (ended.code, ended.errors.splitlines()[0]) == (6, "audit.holds: the table is missing")


async def test_without_the_owners_address_it_says_what_to_do(verify, database):
    ended = await verify(database, AUDIT_MIGRATION_DATABASE_URL="")
    assert (ended.code, ended.output) == (1, "")
    assert "AUDIT_MIGRATION_DATABASE_URL: set it" in ended.errors


async def test_a_damaged_memory_is_no_verdict(verify, database, tmp_path):
    assert (await verify(database)).code == 0
    (memory,) = (tmp_path / "smart-audit" / "databases").iterdir()
    memory.write_text("{")
    ended = await verify(database)
    assert (ended.code, ended.output) == (1, "")
    assert f"{memory} is damaged" in ended.errors
