"""The verification beside the calls: what it finds shows in the log and in the metrics."""

import asyncio
from datetime import timedelta

import psycopg
from prometheus_client import REGISTRY

from smart_audit.audit.integrity.background import LOCK_ID
from tests.integrity.copies import execute
from tests.integrity.making import login
from tests.support.events import checkpoint
from tests.support.governance import facts_of, own_events, until
from tests.support.world import running_world

OFTEN = {"verify_every": timedelta(milliseconds=50), "verify_rate": 1_000_000}
FINDINGS = "smart_audit_integrity_findings_total"
ENTRIES = "smart_audit_integrity_entries_verified_total"
LAST_RUN = "smart_audit_integrity_last_complete_run_timestamp_seconds"


def metric(name):
    return REGISTRY.get_sample_value(name) or 0


async def runs(count):
    """Wait until so many more runs have come to their end."""
    for _ in range(count):
        before = metric(LAST_RUN)

        async def another(before=before):
            return metric(LAST_RUN) > before

        await until(another)


async def test_damage_becomes_an_event_once_and_a_metric(database, user):
    with database.connect() as connection:
        index, target = connection.execute(
            "SELECT log_index, target_id FROM audit.entry_targets"
            " WHERE log_index BETWEEN 40 AND 80 AND target_id LIKE 'd%' LIMIT 1"
        ).fetchone()
    execute(
        database,
        "UPDATE audit.payloads SET action = 'x' WHERE log_index = 90",
        f"DELETE FROM audit.entry_targets WHERE log_index = {index} AND target_id = '{target}'",
    )
    before = metric(FINDINGS)
    async with running_world(database, audit=OFTEN) as world:
        again = await login(world, user)

        async def told():
            return len(await own_events(world, again, "log.integrity.failed")) >= 2

        await until(told)
        await runs(3)
        events = await own_events(world, again, "log.integrity.failed")
    assert sorted((facts_of(one)["table"], facts_of(one)["place"]) for one in events) == [
        ("entry_targets", f"log index {index}, target {target!r}"),
        ("payloads", "log index 90"),
    ]
    assert {(one.actor.id, one.source) for one in events} == {
        ("smart-audit.audit", "smart-audit.audit")
    }
    # Each run finds both again.
    assert metric(FINDINGS) >= before + 6


async def test_what_is_right_is_no_event(database, user):
    findings, entries = metric(FINDINGS), metric(ENTRIES)
    async with running_world(database, audit=OFTEN) as world:
        again = await login(world, user)
        await runs(2)
        assert await own_events(world, again, "log.integrity.failed") == []
    assert metric(FINDINGS) == findings
    assert metric(ENTRIES) > entries + 500


async def test_a_log_whose_head_was_changed_is_left_as_it_is(database, user):
    execute(
        database,
        "UPDATE audit.logs"
        " SET compact_range = set_byte(compact_range, 0, get_byte(compact_range, 0) # 1)"
        f" WHERE organisation_id = '{user.organisation_id}'",
    )
    before = metric(FINDINGS)
    async with running_world(database, audit=OFTEN):
        await runs(2)
    assert metric(FINDINGS) > before
    with database.connect() as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM audit.payloads WHERE action = 'log.integrity.failed'"
        ).fetchone()
    assert count == 0


async def test_one_process_at_a_time(database):
    async with await psycopg.AsyncConnection.connect(database.owner_url) as other:
        await other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_ID])
        async with running_world(database, audit=OFTEN):
            before = metric(LAST_RUN)
            await asyncio.sleep(0.5)
            assert metric(LAST_RUN) == before
            await other.rollback()
            await runs(1)


async def test_it_can_be_switched_off(database):
    before = metric(LAST_RUN)
    async with running_world(database, audit={**OFTEN, "verify_every": timedelta(0)}):
        await asyncio.sleep(0.5)
    assert metric(LAST_RUN) == before


async def test_it_keeps_to_its_rate(database, user):
    async with running_world(database, audit={**OFTEN, "verify_rate": 500}) as world:
        again = await login(world, user)
        before = metric(ENTRIES)
        await asyncio.sleep(1)
        # Each entry takes a row, and most take some more for targets and keys.
        assert metric(ENTRIES) - before <= 750
        assert (await checkpoint(world, again)).tree_size > 500
