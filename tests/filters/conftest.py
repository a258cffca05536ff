"""Logs with events that differ in all that filters can ask."""

import random
from datetime import timedelta

import pytest

from smart_audit.api.audit.v1 import audit_pb2
from tests.filters.strategies import ACTIONS, START
from tests.support.events import event, record_batch, settled

COUNT = 60


@pytest.fixture(scope="session")
async def owner(world):
    """A user whose log has the events, and a login before them."""
    user = await world.new_user()
    await settled(world, user)
    await record_batch(world, user, [made(number) for number in range(COUNT)])
    return user


@pytest.fixture(scope="session")
async def doors(world):
    """A user with six events that say each thing once."""
    user = await world.new_user()
    await settled(world, user)
    ada = audit_pb2.Actor(id="u_1", type="user", name="Ada Lovelace", email="ada@a.test")
    door = audit_pb2.Target(id="d_1", type="door", name="North gate")
    plain = {"source_address": "", "user_agent": "", "targets": [], "metadata": {}}
    bob = audit_pb2.Actor(id="u_2", type="service")
    messages = [
        event(action="GetSecretValue", actor=bob, outcome=3, **plain),
        event(action="door.open", actor=ada, **plain | {"targets": [door]}),
        event(action="door.close", actor=bob, outcome_reason="JammedLock", outcome=2, **plain),
        event(action="mail", actor=bob, **plain | {"metadata": {"to": {"city": "New York"}}}),
        event(action="call", actor=bob, **plain | {"metadata": {"tags": ["b c", 7], "ok": True}}),
        event(action="agent", actor=bob, source="bot", **plain | {"user_agent": "Mozilla/5.0"}),
    ]
    for hour, message in enumerate(messages):
        message.occurred_at.FromDatetime(START + timedelta(hours=hour))
    await record_batch(world, user, messages)
    return user


def made(number):
    """One event; by chance, and always the same."""
    chance = random.Random(number)
    pick = chance.choice
    targets = [
        audit_pb2.Target(
            id=pick(["d_1", "d%2", "doc/3"]),
            type=pick(["document", "door", ""]),
            name=pick(["Plans of Ada", ""]),
        )
        for _ in range(chance.randrange(3))
    ]
    message = event(
        action=pick(ACTIONS),
        actor=audit_pb2.Actor(
            id=pick(["u_1", "u_2", "v%1"]),
            type=pick(["user", "service"]),
            name=pick(["Ada Lovelace", "Żółć", ""]),
            email=pick(["ada@a.test", ""]),
        ),
        targets=targets,
        outcome=chance.randrange(1, 4),
        outcome_reason=pick(["", "", "AccessDenied", "user 17 is locked"]),
        source=pick(["", "editor", "billing-api"]),
        source_address=pick(["", "192.0.2.7", "2001:db8::1"]),
        user_agent=pick(["", "Mozilla/5.0 (X11)"]),
        metadata=pick(
            [
                {},
                {"region": "eu", "size": 17, "tags": ["a", "b c"]},
                {"region": "us", "size": 1.5, "deep": {"key": True}, "none": None},
                {"tags": [], "deep": {"key": False}},
            ]
        ),
    )
    message.occurred_at.FromDatetime(START + timedelta(hours=chance.randrange(96)))
    return message
