"""Pages of ListEvents by filters of all kinds: rare and frequent, both orders, first and deep."""

from collections.abc import Iterator
from random import Random

from benchmarks.finding.large_log import LargeLog
from benchmarks.finding.lines import Line, Times
from benchmarks.trail_kinds import kinds
from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.audit.domain import Event

GOAL_MS = 20
PAGES = 6  # that are read one after the other, of each list
CALL = "EventService/ListEvents"


async def measure(log: LargeLog, rounds: int) -> list[Line]:
    """Each kind of filter in each round, with other values each time."""
    call, times, random = log.call(CALL), Times(), Random(7)
    for round_ in range(rounds + 1):
        for what, text in filters(log, random):
            order = "occurred_at" if random.random() < 0.5 else ""
            token = ""
            for page in range(PAGES):
                request = audit_pb2.ListEventsRequest(
                    filter=text, order_by=order, page_token=token
                ).SerializeToString()
                encoded = await times.measure(
                    f"{what}, {'first' if page == 0 else 'later'} page",
                    lambda request=request: call(request),  # type: ignore[misc]
                )
                token = audit_pb2.ListEventsResponse.FromString(encoded).next_page_token
                if not token:
                    break
        if round_ == 0:
            times.taken.clear()
    return [times.line("filter pages", GOAL_MS)]


def filters(log: LargeLog, random: Random) -> Iterator[tuple[str, str]]:
    """Filters of all kinds by what they are, for values that events have.

    An event that is drawn has frequent values as a rule, and a kind that is drawn is rare.
    """
    event, other = _event(log, random), _event(log, random)
    rare = random.choice(kinds().all)
    day = event.occurred_at.date().isoformat()
    yield "no filter", ""
    yield "frequent action", f'action="{event.action}"'
    yield "rare action", f'action="{rare.action}"'
    yield "word of an action", f'action:"{rare.action.partition(".")[0]}"'
    yield "wildcard", f'action="{event.action.partition(".")[0]}.*"'
    yield "outcome", "outcome=DENIED"
    yield "source", f'source="{event.source}"'
    yield "actor", f'actor.id="{event.actor.id}"'
    yield "rare actor", f'actor.id="user-{random.randrange(2500, 3000):05}"'
    yield "name", f'actor.name="{event.actor.name}"'
    yield "address", f'source_address="{event.source_address}"'
    yield "metadata", f'metadata.region="{event.metadata["region"]}"'
    yield "a request's id", f'metadata.request="{event.metadata["request"]}"'
    yield "a word anywhere", f'"{event.actor.name.split()[-1]}"'
    if event.targets:
        yield "target", f'target.id="{event.targets[0].id}"'
        yield "target type", f'target.type="{event.targets[0].type}"'
    yield "action and outcome", f'action="{event.action}" AND outcome=DENIED'
    yield "two that rarely meet", f'actor.id="{event.actor.id}" AND action="{rare.action}"'
    yield "either of two", f'action="{rare.action}" OR actor.id="{other.actor.id}"'
    yield "not", f'NOT source="{event.source}" AND outcome=FAILURE'
    yield "a day", f'occurred_at>="{day}T00:00:00Z" AND occurred_at<"{day}T23:59:59Z"'
    yield "what nothing is", 'metadata.region="no-such-region"'
    together = f'action="{event.action}" AND actor.type=user AND metadata.plan="team"'
    yield "four together", f'{together} AND occurred_at>"{day}T00:00:00Z"'


def _event(log: LargeLog, random: Random) -> Event:
    number = random.randrange(log.trail.count)
    (new,) = log.trail.events(number, number + 1)
    return new.event
