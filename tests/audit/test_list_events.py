"""Listing events: order, filters, pages."""

import base64
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from tests.support.events import event, record_batch
from tests.support.world import refusal

START = datetime(2024, 1, 1, tzinfo=UTC)


async def listed(world, user, **request):
    answer = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(occurred_before=stamp(START + timedelta(days=99)), **request),
        metadata=user.metadata,
    )
    return [one.action for one in answer.events], answer.next_page_token


def stamp(time):
    from google.protobuf.timestamp_pb2 import Timestamp  # noqa: PLC0415

    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


@pytest.fixture
async def user(world):
    """A user with ten events, recorded in another order than they happened in."""
    user = await world.new_user()
    messages = []
    for day in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7):
        message = event(
            action=f"day.{day}",
            actor=audit_pb2.Actor(id=f"u_{day % 3}"),
            targets=[audit_pb2.Target(id=f"d_{day % 2}"), audit_pb2.Target(id="all")],
            outcome=day % 3 + 1,
        )
        message.occurred_at.FromDatetime(START + timedelta(days=day))
        messages.append(message)
    await record_batch(world, user, messages)
    return user


async def test_events_are_listed_the_latest_first(world, user):
    actions, token = await listed(world, user)
    assert actions == [f"day.{day}" for day in range(9, -1, -1)]
    assert token == ""


@pytest.mark.parametrize(
    ("filters", "days"),
    [
        ({"actor_id": "u_0"}, [9, 6, 3, 0]),
        ({"action": "day.4"}, [4]),
        ({"target_id": "d_1"}, [9, 7, 5, 3, 1]),
        ({"target_id": "all", "actor_id": "u_1"}, [7, 4, 1]),
        ({"outcome": audit_pb2.OUTCOME_DENIED}, [8, 5, 2]),
        ({"occurred_from": stamp(START + timedelta(days=8))}, [9, 8]),
        ({"actor_id": "nobody"}, []),
        ({"actor_id": "u_0", "target_id": "d_0", "outcome": 1}, [6, 0]),
    ],
)
async def test_filters_narrow_the_list(world, user, filters, days):
    actions, _ = await listed(world, user, **filters)
    assert actions == [f"day.{day}" for day in days]


async def test_occurred_before_is_exclusive_and_occurred_from_inclusive(world, user):
    answer = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(
            occurred_from=stamp(START + timedelta(days=2)),
            occurred_before=stamp(START + timedelta(days=4)),
        ),
        metadata=user.metadata,
    )
    assert [one.action for one in answer.events] == ["day.3", "day.2"]


@pytest.mark.parametrize("filters", [{}, {"target_id": "all"}, {"actor_id": "u_0"}])
async def test_pages_join_without_gap_or_repetition_while_events_arrive(world, user, filters):
    whole, _ = await listed(world, user, **filters)
    token, collected = "", []
    while True:
        actions, token = await listed(world, user, page_size=3, page_token=token, **filters)
        collected += actions
        if not token:
            break
        newer = event(action="newer.event", actor=audit_pb2.Actor(id="u_0"))
        newer.occurred_at.FromDatetime(START + timedelta(days=50))
        newer.targets.add(id="all")
        await record_batch(world, user, [newer])
    assert collected == whole


async def test_events_of_one_moment_are_paged_by_their_place(world):
    user = await world.new_user()
    messages = [event(action=f"same.{number}") for number in range(7)]
    for message in messages:
        message.occurred_at.FromDatetime(START)
    await record_batch(world, user, messages)
    token, collected = "", []
    while True:
        actions, token = await listed(world, user, page_size=2, page_token=token)
        collected += actions
        if not token:
            break
    assert collected == [f"same.{number}" for number in range(6, -1, -1)]


async def test_a_page_token_of_other_filters_is_refused(world, user):
    _, token = await listed(world, user, page_size=2)
    call = world.events.ListEvents(
        audit_pb2.ListEventsRequest(page_token=token, actor_id="u_0"), metadata=user.metadata
    )
    assert (await refusal(call)).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    "token",
    [
        "nonsense",
        base64.urlsafe_b64encode(b"[1]").decode(),
        base64.urlsafe_b64encode(b'["x","y","z"]').decode(),
        base64.urlsafe_b64encode(b'["x",1e300,1]').decode(),
        "é" * 10,
    ],
)
async def test_a_page_token_that_is_none_is_refused(world, user, token):
    call = world.events.ListEvents(
        audit_pb2.ListEventsRequest(page_token=token), metadata=user.metadata
    )
    refused = await refusal(call)
    assert refused.reason == "PAGE_TOKEN_INVALID"
    assert "page_token" in refused.fields


async def test_a_page_size_is_coerced_or_refused(world, user):
    actions, _ = await listed(world, user, page_size=100_000)
    assert len(actions) == 10
    call = world.events.ListEvents(
        audit_pb2.ListEventsRequest(page_size=-1), metadata=user.metadata
    )
    assert "page_size" in (await refusal(call)).fields


async def test_a_page_of_heavy_events_is_short_and_nothing_is_lost(world):
    user = await world.new_user()
    heavy = [
        event(action=f"heavy.{number}", metadata={"text": "x" * 250_000}) for number in range(30)
    ]
    for message in heavy:
        message.occurred_at.FromDatetime(START)
    for start in range(0, 30, 10):
        await record_batch(world, user, heavy[start : start + 10])
    token, collected, pages = "", [], 0
    while True:
        actions, token = await listed(world, user, page_size=500, page_token=token)
        collected += actions
        pages += 1
        if not token:
            break
    assert collected == [f"heavy.{number}" for number in range(29, -1, -1)]
    assert pages > 3


async def test_a_far_place_in_a_page_token_is_refused(world, user):
    _, token = await listed(world, user, page_size=2)
    fingerprint, time, _ = orjson.loads(base64.urlsafe_b64decode(token))
    far = base64.urlsafe_b64encode(orjson.dumps([fingerprint, time, 2**63])).decode()
    request = audit_pb2.ListEventsRequest(
        occurred_before=stamp(START + timedelta(days=99)), page_token=far
    )
    call = world.events.ListEvents(request, metadata=user.metadata)
    assert (await refusal(call)).reason == "PAGE_TOKEN_INVALID"
