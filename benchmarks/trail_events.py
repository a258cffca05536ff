"""The trail of a made-up company over half a year: a million events, or as many as are wanted.

What is frequent in real trails is frequent here: a few kinds of events, actors, targets and
addresses make up most of it (Zipf's law), people work by day and in the week, and every event has
names, an address and metadata of its own. The same seed makes the same events, ids included.
"""

import math
from bisect import bisect_right
from datetime import datetime, timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from benchmarks.trail_kinds import Kind, kinds, words
from smart_audit.audit.domain import (
    Actor,
    Event,
    EventId,
    NewEvent,
    OrganisationId,
    Subject,
    Target,
)

DAYS = 180
SEEDS = 2**40
"""How many events a seed may have."""
HOUR = timedelta(hours=1)
RECORDED_AFTER = timedelta(milliseconds=80)
"""How long an event takes from where it happens into the log."""
PEOPLE, SERVICES = 3_000, 60
TARGETS_OF_A_TYPE = 4_000
ADDRESSES = 6_000
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2", "ap-southeast-1")
PLANS = ("free", "team", "business", "enterprise")
FIRST = words(
    "Ada Alan Amina Barbara Chen Carla Dennis Edsger Elif Frances Grace Hedy Ines Ivan Jamal"
    " Joan Karim Katherine Kofi Leslie Linus Lucia Margaret Mei Niklaus Noor Olga Priya Radia"
    " Rasmus Sophie Tariq Tim Vint Wanjiku Yukihiro Zofia"
)
LAST = words(
    "Allen Bartik Cerf Diaz Eriksson Fischer Goldberg Hamilton Hopper Ito Johnson Kaya Keller"
    " Lamport Liskov Lovelace Mensah Moreau Nakamura Novak Okafor Perlman Rossi Sato Schmidt"
    " Silva Singh Thompson Turing Vargas Wirth Zhang"
)
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_5) AppleWebKit/605.1.15 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/139.0 Safari/537.36",
    "company-cli/3.2.1",
    "okhttp/4.12.0",
)


class Skewed(NamedTuple):
    """Numbers from 0 of which the small ones are frequent."""

    cumulative: list[float]

    @classmethod
    def of(cls, count: int, exponent: float) -> "Skewed":
        """Zipf's law: the n-th is as frequent as n to the power of minus `exponent`."""
        return cls(list(accumulate(1 / rank**exponent for rank in range(1, count + 1))))

    def draw(self, random: Random) -> int:
        """One of the numbers."""
        return bisect_right(self.cumulative, random.random() * self.cumulative[-1])


class _Choices(NamedTuple):
    people: Skewed
    services: Skewed
    targets: Skewed
    addresses: Skewed
    kinds: Skewed


@cache
def _choices() -> _Choices:
    return _Choices(
        Skewed.of(PEOPLE, 1.0),
        Skewed.of(SERVICES, 1.0),
        Skewed.of(TARGETS_OF_A_TYPE, 0.9),
        Skewed.of(ADDRESSES, 1.0),
        Skewed(kinds().cumulative),
    )


@cache
def _hours(weekday: int) -> list[float]:
    """How much has gone on until each hour of the half year, which begins on that weekday."""
    return list(accumulate(_busyness(hour, weekday) for hour in range(DAYS * 24)))


def _busyness(hour: int, weekday: int) -> float:
    """How much goes on in an hour: by day, in the week, and more as the company grows."""
    day, of_day = divmod(hour, 24)
    rhythm = 0.15 + math.exp(-(((of_day - 13) / 4) ** 2))
    return rhythm * (0.25 if (day + weekday) % 7 >= 5 else 1) * (1 + day / DAYS)


class Trail:
    """The events of one organisation.

    count: of all of them. end: by when all of them have happened, a midnight in UTC.
    """

    def __init__(
        self, organisation_id: OrganisationId, count: int, end: datetime, seed: int = 5
    ) -> None:
        self.organisation_id = organisation_id
        self.count = count
        self.seed = seed
        self.start = end - timedelta(days=DAYS)

    def events(self, first: int, end: int) -> list[NewEvent]:
        """The events from number `first` to `end`, in the order of their times."""
        return [self._event(number) for number in range(first, end)]

    def _event(self, number: int) -> NewEvent:
        # Each event has a seed of its own, so that it is the same whichever others are made.
        random = Random(self.seed * SEEDS + number)
        choices = _choices()
        kind = kinds().all[choices.kinds.draw(random)]
        occurred_at = self._time(number)
        actor, home = _actor(random)
        address = home if random.random() < 0.8 else choices.addresses.draw(random)
        event = Event(
            id=EventId(_event_id(occurred_at, random)),
            organisation_id=self.organisation_id,
            action=kind.action,
            actor=actor,
            outcome=kind.outcome,
            occurred_at=occurred_at,
            targets=_targets(kind, random),
            outcome_reason=kind.outcome_reason,
            source=kind.source,
            source_address=f"203.0.{address >> 8}.{address & 255}",
            user_agent=AGENTS[home % len(AGENTS)],
            metadata=_metadata(number, random),
        )
        return NewEvent(event, time_given=True, recorded_by="made-up-recorder")

    def _time(self, number: int) -> datetime:
        """When an event happens: as many in each hour as its share of the whole."""
        cumulative = _hours(self.start.weekday())
        place = (number + 0.5) / self.count * cumulative[-1]
        hour = bisect_right(cumulative, place)
        before = cumulative[hour - 1] if hour else 0.0
        return self.start + (hour + (place - before) / (cumulative[hour] - before)) * HOUR


def subjects() -> list[Subject]:
    """Everybody whose data the trail holds."""
    people = [Subject("user", f"user-{number:05}") for number in range(PEOPLE)]
    return people + [Subject("service", f"service-{number:03}") for number in range(SERVICES)]


def _actor(random: Random) -> tuple[Actor, int]:
    """Who it was, and the number of their usual address."""
    if random.random() < 0.2:
        number = _choices().services.draw(random)
        return Actor(f"service-{number:03}", "service", f"Worker {number}"), number
    number = _choices().people.draw(random)
    return Actor(f"user-{number:05}", "user", *_person(number)), (number * 31) % ADDRESSES


def _person(number: int) -> tuple[str, str]:
    """Name and e-mail address of a person."""
    first = FIRST[number % len(FIRST)]
    last = LAST[number // len(FIRST) % len(LAST)]
    return f"{first} {last}", f"{first}.{last}.{number}@example.com".lower()


def _targets(kind: Kind, random: Random) -> tuple[Target, ...]:
    found = []
    for type_ in kind.target_types:
        if type_ == "user":
            number = _choices().people.draw(random)
            found.append(Target(f"user-{number:05}", type_, _person(number)[0]))
        else:
            number = _choices().targets.draw(random)
            found.append(Target(f"{type_}-{number:05}", type_, f"{type_.title()} {number}"))
    return tuple(found)


def _metadata(number: int, random: Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "request": f"req-{number:09}",
        "region": random.choice(REGIONS),
        "plan": random.choice(PLANS),
        "duration_ms": random.randrange(2_000),
    }
    if random.random() < 0.1:
        found["changes"] = {"field": "status", "from": "draft", "to": "final"}
    return found


def _event_id(at: datetime, random: Random) -> UUID:
    """A UUIDv7 of that time (RFC 9562, section 5.7)."""
    value = int(at.timestamp() * 1000) << 80 | random.getrandbits(80)
    return UUID(int=value & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62)
