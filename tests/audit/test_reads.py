"""Reading the log is an event of the log: who looked for what, once, and never without a trace."""

import asyncio
from functools import partial

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2, governance_pb2
from smart_audit.audit import wiring
from smart_audit.audit.use_cases.record_reads import Reads
from tests.support.events import checkpoint, event, get, leaves_of, record, settled
from tests.support.governance import update_settings
from tests.support.world import refusal, running_world

READ, DISCLOSE, PROOF = "audit.event.read", "audit.event.disclose", "audit.proof.read"
OFF = governance_pb2.READ_RECORDING_OFF


@pytest.fixture
async def user(world):
    user = await world.new_user()
    await settled(world, user)
    return user


async def reads(world, user, action=READ):
    """The reads that the log tells of, the first first; asking for them is one more read."""
    answer = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(action=action), metadata=user.metadata
    )
    return list(reversed(answer.events))


async def listed(world, user, **request):
    return await world.events.ListEvents(
        audit_pb2.ListEventsRequest(**request), metadata=user.metadata
    )


async def test_a_list_leaves_who_looked_for_what_and_how_much_was_found(world, user):
    await record(world, user, event())
    await listed(world, user, actor_id="u_1", outcome=audit_pb2.OUTCOME_SUCCESS)
    (told,) = await reads(world, user)
    assert told.actor.id == told.recorded_by == user.id
    assert (told.source, told.outcome) == ("smart-audit.audit", audit_pb2.OUTCOME_SUCCESS)
    assert told.source_address
    metadata = dict(told.metadata)
    assert metadata.pop("request_id")
    assert metadata == {"actor_id": "u_1", "outcome": "OUTCOME_SUCCESS", "results": 1}
    # What was looked for is sealed: it may name people.
    assert not [leaf for leaf in leaves_of(world, user.organisation_id) if b"u_1" in leaf][1:]


async def test_one_event_that_was_read_is_the_target_of_the_event_that_tells_of_it(world, user):
    read = (await record(world, user, event())).event_id
    await get(world, user, read)
    await world.events.GetEventProof(
        audit_pb2.GetEventProofRequest(event_id=read), metadata=user.metadata
    )
    request = audit_pb2.DiscloseEventRequest(event_id=read, fields=["user_agent", "actor.name"])
    await world.events.DiscloseEvent(request, metadata=user.metadata)
    told = (await listed(world, user, target_id=read)).events
    assert [one.action for one in reversed(told)] == [READ, PROOF, DISCLOSE]
    assert all(list(one.targets) == [audit_pb2.Target(id=read, type="event")] for one in told)
    assert dict(told[0].metadata)["fields"] == "actor.name, user_agent"


async def test_equal_reads_of_a_short_time_and_the_pages_of_a_list_are_one(world, user):
    for _ in range(3):
        await record(world, user, event())
    page = ""
    for _ in range(3):
        answer = await listed(world, user, action="document.delete", page_size=1, page_token=page)
        page = answer.next_page_token
    await listed(world, user, action="document.delete")
    before = (await checkpoint(world, user)).tree_size
    assert len(await reads(world, user)) == 1
    await asyncio.gather(*(reads(world, user) for _ in range(20)))
    assert (await checkpoint(world, user)).tree_size == before + 1


async def test_reads_of_others_and_of_other_things_are_events_of_their_own(world, user):
    await listed(world, user, action="a")
    await listed(world, user, action="b")
    again = await world.login(user.email)
    await listed(world, again, action="a")
    assert len(await reads(world, user)) == 2


async def test_a_refused_or_malformed_read_is_none(world, user):
    refused = await refusal(get(world, user, "00000000-0000-4000-8000-000000000000"))
    assert refused.reason == "EVENT_NOT_FOUND"
    await refusal(listed(world, user, page_token="x"))
    assert await reads(world, user) == []


async def test_reads_are_switched_off_and_on_at_once_but_for_what_leaves_the_house(world, user):
    read = (await record(world, user, event())).event_id
    await update_settings(world, user, reads=OFF)
    await listed(world, user, action="a")
    await get(world, user, read)
    await world.events.GetEventProof(
        audit_pb2.GetEventProofRequest(event_id=read), metadata=user.metadata
    )
    request = audit_pb2.DiscloseEventRequest(event_id=read)
    await world.events.DiscloseEvent(request, metadata=user.metadata)
    assert await reads(world, user) == []
    assert len(await reads(world, user, PROOF)) == len(await reads(world, user, DISCLOSE)) == 1
    await update_settings(world, user, retention_days=1)
    await listed(world, user, action="a")
    assert len(await reads(world, user)) == 1


async def test_what_came_meanwhile_is_told_at_the_end_of_the_minute_or_of_the_service(
    cluster, monkeypatch
):
    database = cluster.new_database()
    async with running_world(database) as world:
        user = await world.new_user()
        await settled(world, user)
        await record(world, user, event())
        for _ in range(4):
            await listed(world, user, actor_id="u_1")
    monkeypatch.setattr(wiring, "Reads", partial(Reads, together_s=0.2))
    async with running_world(database) as world:
        first, rest = await reads(world, user)
        assert dict(first.metadata)["results"] == 1
        assert dict(rest.metadata)["reads"] == dict(rest.metadata)["results"] == 3
        async with asyncio.timeout(20):
            while not [one for one in await reads(world, user) if "reads" in one.metadata][1:]:
                pass
        # Nobody looks any more, so nothing more is told: this is no endless loop.
        await asyncio.sleep(1)
        size = len(leaves_of(world, user.organisation_id))
        await asyncio.sleep(1)
        assert len(leaves_of(world, user.organisation_id)) == size


async def test_nobody_reads_what_the_log_cannot_tell_of(world, user):
    read = (await record(world, user, event())).event_id
    await world.database.alter(
        "ALTER TABLE audit.payloads ADD CONSTRAINT broken"
        f" CHECK (action <> '{READ}' OR organisation_id <> '{user.organisation_id}')"
    )
    try:
        refused = await refusal(get(world, user, read))
    finally:
        await world.database.alter("ALTER TABLE audit.payloads DROP CONSTRAINT broken")
    assert refused.code is grpc.StatusCode.INTERNAL
    await get(world, user, read)
    assert len((await listed(world, user, target_id=read)).events) == 1
