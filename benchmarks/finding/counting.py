"""Aggregates over all events of the log, and over what filters leave of them."""

from random import Random
from typing import Any

from benchmarks.finding.large_log import LargeLog
from benchmarks.finding.lines import Line, Times
from smart_audit.api.audit.v1 import analytics_pb2

GOAL_MS = 300
AUTO = analytics_pb2.TIME_BUCKET_AUTO
FIELDS = (
    "action",
    "actor.id",
    "target.id",
    "target.type",
    "outcome",
    "outcome_reason",
    "source",
    "source_address",
    "kind",
)
OVER_ALL: dict[str, dict[str, Any]] = {
    "over time": {"bucket": AUTO},
    **{f"top {field}": {"group_by": [field]} for field in FIELDS},
    **{
        f"top {field} over time": {"group_by": [field], "bucket": AUTO}
        for field in ("action", "outcome", "source", "actor.id")
    },
    "outcome against source": {"group_by": ["outcome", "source"]},
    "action against outcome": {"group_by": ["action", "outcome"]},
    "distinct actions": {"count_distinct": ["action"]},
    "distinct actors": {"count_distinct": ["actor.id"]},
    "distinct addresses": {"count_distinct": ["source_address"]},
}
OTHERS: dict[str, dict[str, Any]] = {
    "distinct targets": {"count_distinct": ["target.id"]},
    "actor against action": {"group_by": ["actor.id", "action"]},
    "over time in Berlin": {"bucket": AUTO, "time_zone": "Europe/Berlin"},
    "denied, by actor": {"filter": "outcome=DENIED", "group_by": ["actor.id"]},
    "denied, over time": {"filter": "outcome=DENIED", "bucket": AUTO},
    "by action, of one source": {"filter": 'source="web-app"', "group_by": ["action"]},
    "by action, of a word": {"filter": 'action:"document"', "group_by": ["action"]},
    "by address, of the busiest actor": {
        "filter": 'actor.id="user-00000"',
        "group_by": ["source_address"],
    },
    "by action, of a region": {
        "filter": 'metadata.region="eu-west-1"',
        "group_by": ["action"],
    },
}


async def measure(log: LargeLog, rounds: int) -> list[Line]:
    """Each question once a round, in another order each time."""
    return [
        await _measure(log, rounds, OVER_ALL, "aggregates over all", GOAL_MS),
        await _measure(log, rounds, OTHERS, "other aggregates", None),
    ]


async def _measure(
    log: LargeLog, rounds: int, asked: dict[str, dict[str, Any]], name: str, goal_ms: float | None
) -> Line:
    call, times, random = log.call("AnalyticsService/AggregateEvents"), Times(), Random(5)
    requests = {
        what: analytics_pb2.AggregateEventsRequest(**fields).SerializeToString()
        for what, fields in asked.items()
    }
    for request in requests.values():
        await call(request)
    for _ in range(rounds):
        for what in random.sample(list(requests), len(requests)):
            request = requests[what]
            await times.measure(what, lambda request=request: call(request))  # type: ignore[misc]
    return times.line(name, goal_ms)
