"""Counting events: the call, and what it should answer, counted one by one."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from smart_audit.api.audit.v1 import analytics_pb2, analytics_pb2_grpc, audit_pb2
from smart_audit.audit.meaning.reasons import template
from tests.support.world import User, World

OUTCOMES = {1: "SUCCESS", 2: "FAILURE", 3: "DENIED"}
VALUES: dict[str, Callable[[audit_pb2.Event], Iterable[str]]] = {
    "action": lambda event: [event.action],
    "actor.id": lambda event: [event.actor.id],
    "target.id": lambda event: {target.id for target in event.targets},
    "target.type": lambda event: {target.type for target in event.targets if target.type},
    "outcome": lambda event: [OUTCOMES[event.outcome]],
    "outcome_reason": lambda event: [template(event.outcome_reason)],
    "source": lambda event: [event.source],
    "source_address": lambda event: [event.source_address],
}
SEVERAL = ("target.id", "target.type")

# What the projection keeps, against the events that it keeps it of.
DIFFERENCES = """
SELECT 'kind', day::text, phrase_id::text, events FROM (
    (SELECT day, phrase_id, events FROM audit.kind_counts EXCEPT ALL
     SELECT date_trunc('day', occurred_at, 'UTC'), phrase_id, count(*)
     FROM audit.search_events GROUP BY organisation_id, 1, 2)
    UNION ALL
    (SELECT date_trunc('day', occurred_at, 'UTC'), phrase_id, count(*)
     FROM audit.search_events GROUP BY organisation_id, 1, 2
     EXCEPT ALL SELECT day, phrase_id, events FROM audit.kind_counts)) AS kinds
UNION ALL SELECT 'actor', day::text, actor_id, events FROM (
    (SELECT day, actor_id, events FROM audit.actor_counts EXCEPT ALL
     SELECT date_trunc('day', occurred_at, 'UTC'), actor_id, count(*)
     FROM audit.search_events GROUP BY organisation_id, 1, 2)
    UNION ALL
    (SELECT date_trunc('day', occurred_at, 'UTC'), actor_id, count(*)
     FROM audit.search_events GROUP BY organisation_id, 1, 2
     EXCEPT ALL SELECT day, actor_id, events FROM audit.actor_counts)) AS actors
UNION ALL SELECT 'address', day::text, address::text, events FROM (
    (SELECT day, address, events FROM audit.address_counts EXCEPT ALL
     SELECT date_trunc('day', occurred_at, 'UTC'), coalesce(address, 0), count(*)
     FROM audit.search_events GROUP BY organisation_id, 1, 2)
    UNION ALL
    (SELECT date_trunc('day', occurred_at, 'UTC'), coalesce(address, 0), count(*)
     FROM audit.search_events GROUP BY organisation_id, 1, 2
     EXCEPT ALL SELECT day, address, events FROM audit.address_counts)) AS addresses
"""


async def aggregate(
    world: World, user: User, **asked: Any
) -> analytics_pb2.AggregateEventsResponse:
    """Ask for counts."""
    stub = analytics_pb2_grpc.AnalyticsServiceStub(world.audit_channel)
    answer: analytics_pb2.AggregateEventsResponse = await stub.AggregateEvents(
        analytics_pb2.AggregateEventsRequest(**asked), metadata=user.metadata
    )
    return answer


async def all_events(world: World, user: User) -> list[audit_pb2.Event]:
    """All events of the user's log."""
    found: list[audit_pb2.Event] = []
    token = ""
    while True:
        page = await world.events.ListEvents(
            audit_pb2.ListEventsRequest(page_size=500, page_token=token), metadata=user.metadata
        )
        found += page.events
        token = page.next_page_token
        if not token:
            return found


def counted(events: Sequence[audit_pb2.Event], field: str) -> Counter[str]:
    """How many events have each value of a field."""
    return Counter(value for event in events for value in VALUES[field](event))


def against(events: Sequence[audit_pb2.Event], *fields: str) -> Counter[tuple[str, str]]:
    """How many events have each pair of values of two fields."""
    first, second = (VALUES[field] for field in fields)
    return Counter((a, b) for event in events for a in first(event) for b in second(event))


def check(
    answer: analytics_pb2.AggregateEventsResponse,
    events: Sequence[audit_pb2.Event],
    fields: Sequence[str],
    top: int,
) -> None:
    """Whether an answer is what these events come to."""
    assert answer.total == len(events)
    sides = [(answer.groups, answer.other), (answer.columns, answer.other_columns)]
    for field, (groups, other) in zip(fields, sides, strict=False):
        expected = counted(events, field)
        shown = {group.value: group.count for group in groups}
        assert shown == {value: expected[value] for value in shown}
        assert sorted(shown.values(), reverse=True) == [n for _, n in expected.most_common(top)]
        assert [group.count for group in groups] == sorted(shown.values(), reverse=True)
        assert other.groups == len(expected) - len(shown)
        assert other.count == expected.total() - sum(shown.values())
        for group in groups:
            assert not answer.buckets or sum(group.over_time) == group.count
    if len(fields) == len(sides):
        pairs = against(events, *fields)
        for group in answer.groups:
            assert [cell.count for cell in group.cells] == [
                pairs[group.value, column.value] for column in answer.columns
            ]
    for bucket in answer.buckets:
        within = [
            event
            for event in events
            if bucket.start.ToNanoseconds()
            <= event.occurred_at.ToNanoseconds()
            < bucket.end.ToNanoseconds()
        ]
        assert bucket.count == len(within)
    if answer.buckets:
        assert sum(bucket.count for bucket in answer.buckets) == len(events)


def differences(world: World) -> list[tuple[Any, ...]]:
    """Where the counts that are kept differ from the events; of all organisations."""
    with world.database.connect() as connection:
        return connection.execute(DIFFERENCES).fetchall()
