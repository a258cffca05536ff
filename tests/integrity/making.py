"""A small installation with everything in it that a database of audit can hold."""

import base64
from datetime import UTC, datetime, timedelta

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit.integrity.secrets import Secrets
from smart_audit.audit.key_rotation import rotate_checkpoint_key
from smart_audit.audit.settings import AuditSettings
from smart_audit.core.settings import DEVELOPMENT_KEY
from tests.support.events import checkpoint, event, record_batch, settled
from tests.support.governance import (
    Clock,
    another_time,
    erase,
    facts_of,
    own_events,
    place_hold,
    release_hold,
    running_at,
    until,
    update_settings,
)

OFTEN = timedelta(milliseconds=50)
DAY = timedelta(days=1)
SECRETS = Secrets.of(base64.b64decode(DEVELOPMENT_KEY), "localhost/smart-audit")


def settings(database, **changes):
    return AuditSettings(database_url=database.service_url("audit"), log_level="ERROR", **changes)


async def fill(database):
    """Two organisations' logs, made by the real services; gives their users, the larger first."""
    clock = Clock()
    async with running_at(clock, database, retention_every=OFTEN) as world:
        user, other = await world.signed_up(), await world.signed_up()
        for one in (user, other):
            await settled(world, one)
        await _old_events(world, user, clock)
        await checkpoint(world, user)
        for number in range(4):
            await record_batch(world, user, _people(number * 70, 70))
            await checkpoint(world, user)
        await rotate_checkpoint_key(settings(database))
        await checkpoint(world, user)
        await record_batch(world, user, _people(280, 250))
        await record_batch(world, user, [event(targets=[], metadata={}) for _ in range(9)])
        await record_batch(world, user, [_bare() for _ in range(3)])
        await erase(world, user, "u_3")
        await record_batch(world, user, [event(actor=audit_pb2.Actor(id="u_3", name="Anew"))])
        await checkpoint(world, user)
        await record_batch(world, other, _people(0, 5))
        await erase(world, other, "u_2", reason="they asked for it")
        await update_settings(world, other, readers=2)
        await checkpoint(world, other)
    return user, other


async def login(world, user):
    """Log in, and wait until the event of it has come, so that the log stands still."""

    def logins():
        with world.database.connect() as connection:
            return connection.execute(
                "SELECT count(*) FROM audit.payloads WHERE organisation_id = %s"
                " AND action = 'auth.login'",
                [user.organisation_id],
            ).fetchone()

    before = logins()
    again = await world.login(user.email)

    async def there():
        return logins() > before

    await until(there)
    return again


async def _old_events(world, user, clock):
    """What retention removed, and what it left because of holds."""
    held = [event(targets=[audit_pb2.Target(id="d_held", type="document")]) for _ in range(4)]
    async with another_time(clock, world, datetime.now(UTC) - 100 * DAY):
        await record_batch(world, user, [event() for _ in range(20)] + held)
    await place_hold(world, user, target_id="d_held")
    first = (await place_hold(world, user, subject="u_7")).hold
    period = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
    await place_hold(world, user, period=period)
    await release_hold(world, user, first.id)
    await update_settings(world, user, retention_days=90)

    async def removed():
        runs = await own_events(world, user, "log.retention.run")
        return sum(int(facts_of(one)["removed"]) for one in runs) == 20

    await until(removed)
    await update_settings(world, user, retention_days=91, readers=2)


def _people(first, count):
    """Events of a few persons, some of which name another."""
    return [
        event(
            actor=audit_pb2.Actor(id=f"u_{number % 7}", name=f"Person {number % 7}"),
            targets=[
                audit_pb2.Target(id=f"d_{number % 11}", type="document", name="Plans"),
                audit_pb2.Target(id=f"u_{number % 5}", type="user", name="Somebody"),
            ][: number % 3],
        )
        for number in range(first, first + count)
    ]


def _bare():
    """An event that has nothing to seal."""
    return audit_pb2.Event(
        id=event().id,
        action="clock.tick",
        actor=audit_pb2.Actor(id="clock", type="service"),
        outcome=audit_pb2.OUTCOME_FAILURE,
    )
