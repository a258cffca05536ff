"""Whatever somebody with all rights changes in the database is found, and where it is."""

from random import Random

import psycopg
import pytest

from smart_audit.audit.integrity import entries
from smart_audit.audit.integrity.database import verify_database
from smart_audit.audit.integrity.findings import Watch
from tests.integrity.copies import copied
from tests.integrity.expected import located
from tests.integrity.making import SECRETS
from tests.integrity.mutations import DROP_CONSTRAINTS, NO_TRIGGERS, TABLES, Attacker


@pytest.fixture(scope="module")
async def connection(cluster, filled):
    """A superuser's; nothing else runs on the database."""
    database = copied(cluster, filled[0])
    async with await psycopg.AsyncConnection.connect(database.owner_url) as connection:
        await connection.set_autocommit(True)
        yield connection


async def findings(connection):
    return [one async for one in verify_database(connection, SECRETS, Watch())]


async def attack(connection, seed):
    """Change something by the seed and verify; gives (what was done, what was found)."""
    while True:
        for without in (NO_TRIGGERS, NO_TRIGGERS + DROP_CONSTRAINTS):
            async with connection.transaction(force_rollback=True):
                await connection.execute(without)
                try:
                    done = await Attacker(connection, Random(seed)).change()
                except psycopg.IntegrityError:
                    continue
                if done is not None:
                    return done, await findings(connection)
        seed += 1_000_000  # it changed nothing, or there is no partition for such a time


async def tamper(connection, seeds):
    missed = []
    for seed in seeds:
        done, found = await attack(connection, seed)
        if not located(done, found):
            missed.append(f"seed {seed}: {done}: {[str(one) for one in found[:5]]}")
    assert not missed, "\n".join(missed)
    assert await findings(connection) == []


async def test_an_untouched_database_has_nothing_wrong(connection):
    assert await findings(connection) == []


@pytest.mark.soak  # as long again as the test before it
async def test_it_is_the_same_in_many_transactions(connection, monkeypatch):
    monkeypatch.setattr(entries, "AT_ONCE_S", 0)
    await tamper(connection, range(100, 110))


async def test_what_changes_nothing_is_no_finding(connection):
    async with connection.transaction(force_rollback=True):
        await connection.execute(NO_TRIGGERS + DROP_CONSTRAINTS)
        await connection.execute("UPDATE audit.entries SET leaf_hash = leaf_hash")
        await connection.execute("UPDATE audit.payloads SET recorded_at = recorded_at")
        assert await findings(connection) == []


@pytest.mark.parametrize("table", TABLES)
async def test_rows_without_keys_are_found(connection, table):
    for column in TABLES[table][0]:
        async with connection.transaction(force_rollback=True):
            await connection.execute(NO_TRIGGERS + DROP_CONSTRAINTS)
            try:
                await connection.execute(f"UPDATE audit.{table} SET {column} = NULL")
            except psycopg.errors.CheckViolation:
                continue  # a partition holds no row without its time
            assert table in {one.table for one in await findings(connection)}, column


async def test_a_change_is_found_and_located(connection):
    await tamper(connection, range(15))


@pytest.mark.soak
async def test_a_thousand_changes_are_found_and_located(connection):
    await tamper(connection, range(1000, 2000))
