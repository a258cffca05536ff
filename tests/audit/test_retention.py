"""Retention: what goes, what stays, and that the log tells of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from smart_audit.api.audit.v1 import audit_pb2, governance_pb2
from smart_audit.audit.use_cases import retain
from smart_audit.tlog.proofs import verify_consistency
from tests.support.counting import aggregate, differences
from tests.support.events import checkpoint, event, get, record, record_batch, settled, verify
from tests.support.governance import (
    Clock,
    another_time,
    erase,
    facts_of,
    own_events,
    place_hold,
    release_hold,
    running_at,
    stamp,
    until,
    update_settings,
)
from tests.support.world import refusal, running_world

OFTEN = timedelta(milliseconds=50)
DAY = timedelta(days=1)
# Otherwise the tests, which look again and again, would make events that they then count.
OFF = governance_pb2.READ_RECORDING_OFF


class Aged:
    """A world whose events may be old."""

    def __init__(self, world, clock):
        self.world = world
        self.clock = clock

    async def record(self, user, messages, age):
        """Record events as they would have been so long ago; gives their receipts."""
        at = datetime.now(UTC) - age
        async with self.at(at):
            results = await record_batch(self.world, user, messages)
        return [result.receipt for result in results]

    def at(self, time):
        """Let it be another time."""
        return another_time(self.clock, self.world, time)

    async def runs(self, user, removed):
        """The events of retention, once content of so many events has gone."""

        async def enough():
            told = await own_events(self.world, user, "log.retention.run")
            return told if sum(int(facts_of(one)["removed"]) for one in told) >= removed else None

        told = await until(enough)
        await asyncio.sleep(3 * OFTEN.total_seconds())
        after = await own_events(self.world, user, "log.retention.run")
        assert sum(int(facts_of(one)["removed"]) for one in after) == removed
        assert after == told
        return told


@pytest.fixture(scope="module")
async def aged(cluster):
    clock = Clock()
    async with running_at(clock, cluster.new_database(), retention_every=OFTEN) as world:
        yield Aged(world, clock)


@pytest.fixture
def world(aged):
    return aged.world


@pytest.fixture
async def user(world):
    user = await world.new_user()
    await settled(world, user)
    return user


@pytest.fixture
def by_tens(monkeypatch):
    monkeypatch.setattr(retain, "BATCH", 10)


def counted(world, user, table):
    with world.database.connect() as connection:
        (count,) = connection.execute(
            f"SELECT count(*) FROM audit.{table} WHERE organisation_id = %s",
            [user.organisation_id],
        ).fetchone()
        return count


async def expired(world, user, event_id):
    call = world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=event_id), metadata=user.metadata
    )
    try:
        await call
    except Exception:  # noqa: BLE001
        refused = await refusal(call)
        assert refused.metadata["event_id"] == event_id
        return refused.reason == "EVENT_EXPIRED"
    return False


async def test_old_content_goes_and_the_log_tells_of_it(aged, world, user):
    old = await aged.record(user, [event() for _ in range(12)], 100 * DAY)
    new = await aged.record(user, [event() for _ in range(3)], 80 * DAY)
    before = counted(world, user, "payloads"), counted(world, user, "entry_targets")
    await update_settings(world, user, retention_days=90, reads=OFF)
    (told,) = await aged.runs(user, 12)
    assert facts_of(told)["removed"] == "12"
    spelled = facts_of(told)["recorded_before"]
    assert len(spelled) == len("2024-01-01T00:00:00.000000Z")
    age = datetime.now(UTC) - datetime.fromisoformat(spelled)
    assert timedelta() < age - 90 * DAY < timedelta(minutes=5)
    assert told.actor == audit_pb2.Actor(id="smart-audit.audit", type="service")
    assert (told.recorded_by, told.source) == ("smart-audit.audit", "smart-audit.audit")
    for receipt in old:
        assert await expired(world, user, receipt.event_id)
    for receipt in new:
        assert (await get(world, user, receipt.event_id)).event.actor.name == "Ada Lovelace"
    listed = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(action="document.delete"), metadata=user.metadata
    )
    assert {one.id for one in listed.events} == {receipt.event_id for receipt in new}
    counts = await aggregate(world, user, filter="action=document.delete")
    assert counts.total == len(new)
    assert await asyncio.to_thread(differences, world) == []
    # The events of settings and of retention have come, with three targets and with two.
    after = counted(world, user, "payloads"), counted(world, user, "entry_targets")
    assert after == (before[0] - 12 + 2, before[1] - 12 + 5)


async def test_proofs_of_expired_events_stay(aged, world, user):
    sent = event()
    (receipt,) = await aged.record(user, [sent], 100 * DAY)
    first = await checkpoint(world, user)
    await update_settings(world, user, retention_days=90, reads=OFF)
    await aged.runs(user, 1)
    for name in (
        {"event_id": receipt.event_id},
        {"log_index": receipt.proof.log_index},
        {"leaf_hash": receipt.proof.leaf_hash},
    ):
        answer = await world.log.GetInclusionProof(
            audit_pb2.GetInclusionProofRequest(**name), metadata=user.metadata
        )
        assert answer.proof.leaf_hash == receipt.proof.leaf_hash
        verify(answer.proof)
    proof = await world.log.GetConsistencyProof(
        audit_pb2.GetConsistencyProofRequest(first_size=first.tree_size), metadata=user.metadata
    )
    verify_consistency(
        first.tree_size,
        proof.second_size,
        list(proof.hashes),
        first.root_hash,
        proof.second_root_hash,
    )
    assert await record(world, user, sent) == receipt
    call = world.events.GetEventProof(
        audit_pb2.GetEventProofRequest(event_id=receipt.event_id), metadata=user.metadata
    )
    assert (await refusal(call)).reason == "EVENT_EXPIRED"


async def test_the_logs_own_events_stay(aged, world, user):
    async with aged.at(datetime.now(UTC) - 400 * DAY):
        hold = (await place_hold(world, user, subject="u_9")).hold
        await release_hold(world, user, hold.id)
        await record(world, user, event())
        erased = await erase(world, user, "u_1")
    await update_settings(world, user, retention_days=1, reads=OFF)
    await aged.runs(user, 1)
    for event_id in (hold.id, erased.event_id):
        assert await get(world, user, event_id)
    assert len(await own_events(world, user, "log.hold.release")) == 1


async def test_what_a_hold_covers_stays_until_it_is_released(aged, world, user):
    then = datetime(2024, 5, 5, tzinfo=UTC)
    in_period = event(actor=audit_pb2.Actor(id="u_2"))
    in_period.occurred_at.CopyFrom(stamp(then))
    covered = [
        event(actor=audit_pb2.Actor(id="held")),
        event(targets=[audit_pb2.Target(id="held", type="user", name="Bob")]),
        event(targets=[audit_pb2.Target(id="d_7"), audit_pb2.Target(id="d_8")]),
        in_period,
    ]
    others = [event() for _ in range(5)]
    await aged.record(user, [*others, *covered], 100 * DAY)
    holds = [
        (await place_hold(world, user, **held)).hold.id
        for held in (
            {"subject": "held"},
            {"target_id": "d_7"},
            {"period": (then, then + timedelta(microseconds=1))},
        )
    ]
    await update_settings(world, user, retention_days=90, reads=OFF)
    await aged.runs(user, 5)
    for message in covered:
        assert not await expired(world, user, message.id)
    listed = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(target_id="d_8"), metadata=user.metadata
    )
    assert [one.id for one in listed.events] == [covered[2].id]
    for hold_id, removed in zip(holds, (7, 8, 9), strict=True):
        await release_hold(world, user, hold_id)
        await aged.runs(user, removed)
    for message in covered:
        assert await expired(world, user, message.id)


async def test_it_goes_in_batches_each_with_an_event_of_its_own(aged, world, user, by_tens):
    start = datetime.now(UTC) - 100 * DAY
    held = audit_pb2.Target(id="d_held")
    for number in range(35):
        async with aged.at(start + timedelta(seconds=number)):
            targets = [held] if 10 <= number < 20 else []
            await record(world, user, event(targets=targets))
    # More than a batch in one moment: it goes as one.
    await aged.record(user, [event() for _ in range(25)], 95 * DAY)
    await place_hold(world, user, target_id="d_held")
    await update_settings(world, user, retention_days=90, reads=OFF)
    told = await aged.runs(user, 50)
    removed = [int(facts_of(one)["removed"]) for one in told]
    assert removed == [10, 10, 5, 25]
    limits = [facts_of(one)["recorded_before"] for one in told]
    assert limits == sorted(limits)
    assert counted(world, user, "entry_targets") == 10 + 1 + 3 + 2 * len(told) + await own(
        world, user
    )


async def own(world, user):
    """The targets that the login left."""
    answer = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(actor_id=user.id, page_size=500), metadata=user.metadata
    )
    return sum(
        len({target.id for target in one.targets})
        for one in answer.events
        if one.source == "smart-audit.auth"
    )


async def test_a_log_that_keeps_all_loses_nothing(aged, world, user):
    (receipt,) = await aged.record(user, [event()], 4000 * DAY)
    await update_settings(world, user, retention_days=1, reads=OFF)
    await aged.runs(user, 1)
    other = await world.new_user()
    (kept,) = await aged.record(other, [event()], 4000 * DAY)
    await update_settings(world, other, retention_days=0, reads=OFF)
    await asyncio.sleep(4 * OFTEN.total_seconds())
    assert await expired(world, user, receipt.event_id)
    assert not await expired(world, other, kept.event_id)


@pytest.mark.soak
async def test_two_processes_that_append_and_remove_at_once(aged, world, user, by_tens):
    start = datetime.now(UTC) - 100 * DAY
    old = []
    for number in range(60):
        old += await aged.record(
            user, [event() for _ in range(5)], 100 * DAY - timedelta(seconds=number)
        )
    assert start
    async with running_world(world.database, audit={"retention_every": OFTEN}) as second:
        settled_size = (await checkpoint(world, user)).tree_size
        await update_settings(world, user, retention_days=90, reads=OFF)
        answers = await asyncio.gather(
            *(record_batch([world, second][n % 2], user, [event()] * 1) for n in range(200))
        )
        told = await aged.runs(user, 300)
    for answer in answers:
        assert answer[0].HasField("receipt")
    assert (await checkpoint(world, user)).tree_size == settled_size + 1 + 200 + len(told)
    for receipt in old[::20]:
        assert await expired(world, user, receipt.event_id)


async def test_one_log_that_fails_holds_up_no_other(aged, world):
    users = [await world.new_user() for _ in range(4)]
    for one in users:
        await settled(world, one)
    receipts = [(await aged.record(one, [event()], 100 * DAY))[0] for one in users]
    failing = users[0]
    with world.database.connect() as connection:
        await asyncio.to_thread(
            connection.execute,
            "CREATE FUNCTION audit.break() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'broken'; END $$;"
            " CREATE TRIGGER broken BEFORE DELETE ON audit.payloads FOR EACH ROW"
            f" WHEN (OLD.organisation_id = '{failing.organisation_id}')"
            " EXECUTE FUNCTION audit.break()",
        )
        try:
            size = (await checkpoint(world, failing)).tree_size
            for one in users:
                await update_settings(world, one, retention_days=90, reads=OFF)
            for one in users[1:]:
                await aged.runs(one, 1)
            assert await own_events(world, failing, "log.retention.run") == []
            assert not await expired(world, failing, receipts[0].event_id)
            assert (await checkpoint(world, failing)).tree_size == size + 1
        finally:
            drop = "DROP TRIGGER broken ON audit.payloads; DROP FUNCTION audit.break()"
            await asyncio.to_thread(connection.execute, drop)
    await aged.runs(failing, 1)


async def test_the_database_removes_nothing_before_its_time(aged, world, user):
    (receipt,) = await aged.record(user, [event()], 100 * DAY)
    expire = "SELECT audit.expire_payloads(%s, '-infinity', %s)"
    url = world.database.service_url("audit")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT set_config('audit.organisation_id', %s, false)", [user.organisation_id]
        )
        for days, before in ((None, timedelta(days=3000)), (101, 100 * DAY), (0, 100 * DAY)):
            if days is not None:
                await update_settings(world, user, retention_days=days, reads=OFF)
            moment = datetime.now(UTC) - before
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="keeps"):
                connection.execute(expire, [user.organisation_id, moment])
    assert not await expired(world, user, receipt.event_id)


async def test_an_emptied_partition_is_dropped(aged, world, user):
    await aged.record(user, [event()], 5000 * DAY)
    month = (datetime.now(UTC) - 5000 * DAY).strftime("%Y_%m")
    names = [f"payloads_{month}", f"entry_targets_{month}"]

    async def gone():
        return not any(there(world, name) for name in names)

    assert not await gone()
    await update_settings(world, user, retention_days=90, reads=OFF)
    await aged.runs(user, 1)
    await until(gone)
    now = datetime.now(UTC)
    assert there(world, f"payloads_{now:%Y_%m}")


def there(world, name):
    with world.database.connect() as connection:
        (found,) = connection.execute("SELECT to_regclass(%s)", [f"audit.{name}"]).fetchone()
        return found is not None


async def test_partitions_are_dropped_with_care(cluster):
    database = cluster.new_database()
    drop = "SELECT audit.drop_empty_partitions('2031-03-01 12:00+00')"
    with database.connect() as owner, database.connect() as reader:
        owner.execute("SELECT audit.ensure_partitions('2031-01-01')")
        owner.execute("SELECT audit.ensure_partitions('2031-03-01')")
        owner.execute(
            "INSERT INTO audit.entry_targets VALUES"
            " (gen_random_uuid(), 'x', now(), 0, '2031-01-09')"
        )
        with reader.transaction():
            reader.execute("SELECT FROM audit.payloads")
            # It gives up before those who read or append would wait for long.
            started = datetime.now(UTC)
            with pytest.raises(psycopg.errors.LockNotAvailable):
                owner.execute(drop)
            assert datetime.now(UTC) - started < timedelta(seconds=3)
        owner.execute(drop)
        left = owner.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r'"
            " AND relname ~ '^(payloads|entry_targets)_' ORDER BY relname"
        ).fetchall()
    # Last month's stays for a day; what holds rows stays.
    assert [name for (name,) in left] == [
        "entry_targets_2031_01",
        "entry_targets_2031_02",
        "entry_targets_2031_03",
        "entry_targets_2031_04",
        "payloads_2031_02",
        "payloads_2031_03",
        "payloads_2031_04",
    ]
