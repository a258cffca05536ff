"""What AggregateEvents answers is what comes out when the events are counted one by one."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from smart_audit.api.audit.v1 import analytics_pb2, audit_pb2, governance_pb2
from smart_audit.audit.rebuilding import rebuild_search
from smart_audit.audit.settings import AuditSettings
from tests.support.counting import (
    VALUES,
    aggregate,
    all_events,
    check,
    counted,
    differences,
)
from tests.support.events import event, record_batch, settled
from tests.support.governance import erase, stamp, update_settings
from tests.support.world import refusal, running_world

START = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DAYS = 40
COUNT = 300
MINUTE, HOUR, DAY, WEEK, MONTH = (
    getattr(analytics_pb2, f"TIME_BUCKET_{name}")
    for name in ("MINUTE", "HOUR", "DAY", "WEEK", "MONTH")
)
AUTO = analytics_pb2.TIME_BUCKET_AUTO


def some_event(chance: random.Random) -> audit_pb2.Event:
    """An event like others: of a few kinds, by a few people, within forty days."""
    actor = min(chance.randrange(12), chance.randrange(12))
    outcome = chance.choice((1, 1, 1, 2, 3))
    at = START + timedelta(days=DAYS) * chance.random()
    if chance.random() < 0.1:
        at = datetime(at.year, at.month, at.day, tzinfo=UTC)
    targets = [
        audit_pb2.Target(id=f'{type_}"\\{chance.randrange(9)}', type=type_)
        for type_ in chance.sample(("document", "folder", "", "user"), chance.randrange(3))
    ]
    return event(
        action=chance.choice(("document.view", "document.delete", "member.invite", "login")),
        actor=audit_pb2.Actor(id=f"a_{actor}", name=f"Person {actor}"),
        targets=targets,
        outcome=outcome,
        outcome_reason="" if outcome == 1 else chance.choice(("Denied", "user 17 may not", "")),
        source=chance.choice(("web", "api", "")),
        source_address=chance.choice(("192.0.2.1", "192.0.2.2", "2001:db8::1", "")),
        occurred_at=stamp(at),
        metadata={"region": chance.choice(("eu", "us"))},
    )


FILTERS = {
    "": lambda event: event is not None,
    'action:"document"': lambda event: event.action.startswith("document"),
    'action="document.*" AND NOT source="web"': lambda event: (
        event.action.startswith("document") and event.source != "web"
    ),
    "outcome=DENIED OR outcome=FAILURE": lambda event: event.outcome > 1,
    "outcome!=SUCCESS AND target.type=document": lambda event: (
        event.outcome != 1 and any(target.type == "document" for target in event.targets)
    ),
    "source:* AND action>=login": lambda event: event.source != "" and event.action >= "login",
    'actor.id="a_1"': lambda event: event.actor.id == "a_1",
    'metadata.region="eu" AND action=login': lambda event: (
        event.action == "login" and event.metadata["region"] == "eu"
    ),
    'source_address="192.0.2.1" OR outcome=DENIED': lambda event: (
        event.source_address == "192.0.2.1" or event.outcome == 3
    ),
    'occurred_at>="2026-03-05T00:00:00Z" AND occurred_at<"2026-03-20T00:00:00Z"': lambda event: (
        "2026-03-05" <= event.occurred_at.ToJsonString() < "2026-03-20"
    ),
    'action=login AND occurred_at>"2026-03-05T10:00:00Z"': lambda event: (
        event.action == "login" and event.occurred_at.ToJsonString() > "2026-03-05T10:00:00Z"
    ),
}
SPANS = (
    (None, None),
    (START, START + timedelta(days=DAYS + 1)),
    (datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 19, tzinfo=UTC)),
    (datetime(2026, 3, 3, 7, 11, tzinfo=UTC), datetime(2026, 3, 19, 22, tzinfo=UTC)),
    (datetime(2026, 3, 3, 7, tzinfo=UTC), datetime(2026, 3, 3, 9, tzinfo=UTC)),
    (None, datetime(2026, 3, 10, tzinfo=UTC)),
    (datetime(2026, 3, 25, 5, tzinfo=UTC), None),
)


@pytest.fixture(scope="module")
async def trail(world):
    return await new_trail(world)


async def new_trail(world):
    """A user whose log has some hundred events, and all of its events."""
    user = await world.new_user()
    await settled(world, user)
    # To ask would be an event, and change what is counted.
    await update_settings(world, user, reads=governance_pb2.READ_RECORDING_OFF)
    chance = random.Random(11)
    await record_batch(world, user, [some_event(chance) for _ in range(COUNT)])
    return user, await all_events(world, user)


def queries(count):
    """Some of all the queries that there could be."""
    fields = list(VALUES)
    grouped = [(), *((field,) for field in fields)]
    grouped += [
        (a, b)
        for a, b in product(fields, fields)
        if a != b and {a, b} != {"target.id", "target.type"}
    ]
    chance = random.Random(3)
    every = [(filter_, (), None) for filter_ in FILTERS] + [("", one, None) for one in grouped]
    for number in range(count):
        if number < len(every):
            yield *every[number], (None, None), 10
        else:
            yield (
                chance.choice(list(FILTERS)),
                chance.choice(grouped),
                chance.choice((None, None, AUTO, DAY, WEEK, MONTH)),
                chance.choice(SPANS),
                chance.choice((1, 3, 10, 200)),
            )


async def compare(world, user, events, count):
    """Ask many questions and count each by hand."""
    for filter_, fields, bucket, (first, before), top in queries(count):
        matching = [
            one
            for one in events
            if FILTERS[filter_](one)
            and (first is None or one.occurred_at.ToDatetime(UTC) >= first)
            and (before is None or one.occurred_at.ToDatetime(UTC) < before)
        ]
        asked = {
            "filter": filter_,
            "group_by": fields,
            "top": top,
            "count_distinct": ["action", "actor.id", "target.id", "source_address"],
        }
        # The user's own login is of today, and a day has no end yet.
        if bucket is not None:
            asked |= {"bucket": bucket, "time_zone": "Asia/Kolkata" if top == 3 else ""}
        if first is not None:
            asked["occurred_from"] = stamp(first)
        if before is not None:
            asked["occurred_before"] = stamp(before)
        answer = await aggregate(world, user, **asked)
        most = 100 if len(fields) < 2 else 50 if bucket is None else 20
        check(answer, matching, fields, min(top, most))
        for one in answer.distinct:
            values = counted(matching, one.field)
            assert one.count == len([value for value in values if value]), (one.field, asked)


async def test_any_question_is_answered_as_by_hand(world, trail):
    user, events = trail
    await compare(world, user, events, 48)


async def test_what_is_kept_is_what_the_events_come_to(world, trail):
    assert await asyncio.to_thread(differences, world) == []


async def test_a_group_can_be_asked_for_by_its_filter(world, trail):
    user, events = trail
    for field in VALUES:
        answer = await aggregate(world, user, group_by=[field], top=100)
        for group in answer.groups:
            if group.filter:
                again = await aggregate(world, user, filter=group.filter)
                assert again.total == group.count, group.filter
            else:
                assert "*" in group.value
    kinds = await aggregate(world, user, group_by=["kind"], top=100)
    assert sum(group.count for group in kinds.groups) + kinds.other.count == len(events)
    for group in kinds.groups[:3]:
        assert group.value
        assert (await aggregate(world, user, filter=group.filter)).total == group.count


async def test_time_without_events_is_zero(world, trail):
    user, _ = trail
    first, before = datetime(1990, 1, 1, tzinfo=UTC), datetime(1990, 1, 8, tzinfo=UTC)
    answer = await aggregate(
        world,
        user,
        occurred_from=stamp(first),
        occurred_before=stamp(before),
        bucket=DAY,
        time_zone="Europe/Berlin",
    )
    assert [bucket.count for bucket in answer.buckets] == [0] * 8
    assert answer.buckets[0].start.ToJsonString() == "1989-12-31T23:00:00Z"
    assert answer.time_zone == "Europe/Berlin"
    nothing = await aggregate(
        world, user, filter='action="no.such"', bucket=AUTO, group_by=["action"]
    )
    assert (nothing.total, len(nothing.buckets), len(nothing.groups)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({"group_by": ["colour"]}, "group_by", "it knows action, actor.id"),
        ({"group_by": ["action", "source", "outcome"]}, "group_by", "two fields at the most"),
        ({"group_by": ["action", "action"]}, "group_by", "twice"),
        ({"group_by": ["target.type", "target.id"]}, "group_by", "filter by one of them"),
        ({"count_distinct": ["outcome"]}, "count_distinct", "action, actor.id, target.id"),
        ({"time_zone": "Europe/Atlantis"}, "time_zone", "such as Europe/Berlin"),
        ({"time_zone": "../../etc/passwd"}, "time_zone", "unknown"),
        (
            {
                "bucket": MINUTE,
                "occurred_from": stamp(START),
                "occurred_before": stamp(START + timedelta(days=30)),
            },
            "bucket",
            "43,200 buckets; give HOUR or longer",
        ),
        (
            {
                "occurred_from": stamp(START),
                "occurred_before": stamp(START - timedelta(days=30)),
            },
            "occurred_from",
            "later than occurred_before",
        ),
    ],
)
async def test_nonsense_is_refused_with_a_remedy(world, trail, asked, field, says):
    user, _ = trail
    error = await refusal(aggregate(world, user, **asked))
    assert error.reason == "AGGREGATION_INVALID"
    assert says in error.fields[field]


async def test_an_erasure_hides_an_address_and_keeps_the_counts_right(world):
    user = await world.new_user()
    await settled(world, user)
    person = audit_pb2.Actor(id="u_5", name="Emmy Noether")
    other = audit_pb2.Actor(id="u_6", name="Sofya Kovalevskaya")
    await record_batch(
        world,
        user,
        [
            *(event(actor=person, source_address="198.51.100.5") for _ in range(3)),
            *(event(actor=person, source_address="198.51.100.6") for _ in range(2)),
            event(actor=other, source_address="198.51.100.6"),
        ],
    )
    before = await aggregate(world, user, group_by=["source_address"], filter='action="document.*"')
    shown = {group.value: group.count for group in before.groups}
    assert shown == {"198.51.100.5": 3, "198.51.100.6": 3}
    await erase(world, user, "u_5", type="user")
    after = await aggregate(world, user, group_by=["source_address"], filter='action="document.*"')
    shown = {group.value: group.count for group in after.groups}
    assert shown == {"": 5, "198.51.100.6": 1}
    assert await asyncio.to_thread(differences, world) == []


async def test_counts_made_anew_are_the_same(cluster):
    # All logs of a database are projected anew: here, one.
    async with running_world(cluster.new_database()) as world:
        user, events = await new_trail(world)
        await rebuild_search(AuditSettings(database_url=world.database.service_url("audit")))
        assert await asyncio.to_thread(differences, world) == []
        await compare(world, user, events, 12)
