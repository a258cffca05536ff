"""The last minutes of a log in numbers, minute by minute: what `top` shows."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from smart_audit.api.audit.v1 import analytics_pb2, audit_pb2

MINUTE_S: Final = 60
_KEPT_FAILURES: Final = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to show. rates: events of each minute, the oldest first."""

    rates: Sequence[int]
    total: int
    failed: int
    actions: Sequence[tuple[str, int]]
    actors: Sequence[tuple[str, int]]
    failures: Sequence[audit_pb2.Event]


@dataclass
class _Minute:
    total: int = 0
    failed: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    actors: Counter[str] = field(default_factory=Counter)


class Window:
    """So many minutes up to now. now, everywhere: seconds since 1970."""

    def __init__(self, minutes: int) -> None:
        self._length = minutes
        self._minutes: dict[int, _Minute] = {}
        self._failures: deque[audit_pb2.Event] = deque(maxlen=_KEPT_FAILURES)
        self._counted = 0

    def start(
        self,
        by_action: analytics_pb2.AggregateEventsResponse,
        by_actor: analytics_pb2.AggregateEventsResponse,
        by_outcome: analytics_pb2.AggregateEventsResponse,
        failures: Iterable[audit_pb2.Event],
    ) -> None:
        """Take over counts by the minute. failures: the latest first.

        Events of the log that are in the counts are not counted again.
        """
        self._counted = min(one.log_size for one in (by_action, by_actor, by_outcome))
        for at, minute in self._each(by_action):
            minute.total = by_action.buckets[at].count
            minute.actions.update(_values(by_action, at))
        for at, minute in self._each(by_actor):
            minute.actors.update(_values(by_actor, at))
        for at, minute in self._each(by_outcome):
            minute.failed = sum(
                count for value, count in _values(by_outcome, at).items() if value != "SUCCESS"
            )
        self._failures.extend(reversed(list(failures)))

    def add(self, event: audit_pb2.Event) -> None:
        """Count an event that came in, unless it is in the counts already."""
        if event.log_index < self._counted:
            return
        minute = self._minute(event.occurred_at.seconds)
        minute.total += 1
        minute.actions[event.action] += 1
        minute.actors[event.actor.id] += 1
        if event.outcome != audit_pb2.OUTCOME_SUCCESS:
            minute.failed += 1
            self._failures.append(event)

    def shown(self, now: float, most: int) -> Shown:
        """What there is up to now. most: of actions, of actors and of failures."""
        last = int(now) // MINUTE_S
        first = last - self._length + 1
        for gone in [number for number in self._minutes if number < first]:
            del self._minutes[gone]
        inside = [self._minutes.get(number, _Minute()) for number in range(first, last + 1)]
        actions: Counter[str] = sum((one.actions for one in inside), Counter())
        actors: Counter[str] = sum((one.actors for one in inside), Counter())
        return Shown(
            rates=[one.total for one in inside],
            total=sum(one.total for one in inside),
            failed=sum(one.failed for one in inside),
            actions=actions.most_common(most),
            actors=actors.most_common(most),
            failures=[
                one
                for one in reversed(self._failures)
                if one.occurred_at.seconds >= first * MINUTE_S
            ][:most],
        )

    def _each(self, answer: analytics_pb2.AggregateEventsResponse) -> Iterable[tuple[int, _Minute]]:
        for at, bucket in enumerate(answer.buckets):
            yield at, self._minute(bucket.start.seconds)

    def _minute(self, seconds: int) -> _Minute:
        return self._minutes.setdefault(seconds // MINUTE_S, _Minute())


def _values(answer: analytics_pb2.AggregateEventsResponse, at: int) -> Mapping[str, int]:
    """How many events of each value there are in a bucket."""
    return {group.value: count for group in answer.groups if (count := group.over_time[at])}
