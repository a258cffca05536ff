"""A log that goes on, is erased from and removed from meanwhile is still right."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit.integrity import entries
from smart_audit.audit.integrity.database import verify_database
from smart_audit.audit.integrity.findings import Watch
from smart_audit.audit.key_rotation import rotate_checkpoint_key
from tests.integrity.making import OFTEN, SECRETS, login, settings
from tests.support.events import checkpoint, event, record_batch
from tests.support.governance import (
    Clock,
    erase,
    own_events,
    place_hold,
    release_hold,
    running_at,
    update_settings,
)

ROUNDS = 12


async def live(world, user, clock):
    """All that changes a log, again and again."""
    await update_settings(world, user, retention_days=90)
    for number in range(ROUNDS):
        person = audit_pb2.Actor(id=f"p_{number}", name="Somebody")
        await record_batch(world, user, [event(actor=person) for _ in range(30)])
        clock.at = datetime.now(UTC) - timedelta(days=95)
        await record_batch(world, user, [event() for _ in range(10)])
        clock.at = None
        hold = (await place_hold(world, user, subject=f"p_{number}")).hold
        await checkpoint(world, user)
        await release_hold(world, user, hold.id)
        await erase(world, user, f"p_{number}")
        if number % 4 == 0:
            await rotate_checkpoint_key(settings(world.database))
        await update_settings(world, user, retention_days=90 + number % 2)


@pytest.mark.soak
async def test_no_change_of_the_services_own_is_a_finding(database, user, monkeypatch):
    monkeypatch.setattr(entries, "AT_ONCE_S", 0)
    clock = Clock()
    runs, found = 0, []
    async with (
        running_at(clock, database, retention_every=OFTEN) as world,
        await psycopg.AsyncConnection.connect(database.owner_url, autocommit=True) as connection,
    ):
        await database.alter("SELECT audit.ensure_partitions(now() - interval '95 days')")
        again = await login(world, user)
        living = asyncio.create_task(live(world, again, clock))
        while not living.done():
            found += [one async for one in verify_database(connection, SECRETS, Watch())]
            runs += 1
        await living
        assert await own_events(world, again, "log.retention.run")
    assert found == []
    assert runs > 2
