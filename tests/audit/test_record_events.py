"""Recording events and reading them back, at the wire."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.tlog.leaf import open_leaf
from tests.support.events import (
    checkpoint,
    event,
    get,
    record,
    record_batch,
    settled,
    verify,
    verify_event,
)
from tests.support.world import refusal


def without_output(message):
    copy = audit_pb2.Event()
    copy.CopyFrom(message)
    for field in ("recorded_at", "log_index", "organisation_id", "recorded_by"):
        copy.ClearField(field)
    return copy


async def test_an_event_is_recorded_and_read_back_as_it_was(world):
    user = await world.new_user()
    sent = event(outcome_reason="Quota")
    sent.occurred_at.FromDatetime(datetime(2023, 7, 10, 11, 42, 18, 123456, tzinfo=UTC))
    receipt = await record(world, user, sent)
    answer = await get(world, user, sent.id)
    assert without_output(answer.event) == sent
    assert answer.event.organisation_id == user.organisation_id == receipt.organisation_id
    assert answer.event.recorded_at == receipt.recorded_at
    assert answer.event.log_index == receipt.proof.log_index
    verify_event(answer, receipt.proof)


async def test_an_event_needs_little(world):
    user = await world.new_user()
    sent = audit_pb2.Event(
        action="a.b", actor=audit_pb2.Actor(id="1"), outcome=audit_pb2.OUTCOME_DENIED
    )
    receipt = await record(world, user, sent)
    assert UUID(receipt.event_id).version == 7
    answer = await get(world, user, receipt.event_id)
    assert answer.event.actor.type == "user"
    assert answer.disclosures == []
    age = datetime.now(UTC) - answer.event.occurred_at.ToDatetime(UTC)
    assert abs(age.total_seconds()) < 60


async def test_a_leaf_holds_nothing_personal_in_clear(world):
    user = await world.new_user()
    sent = event()
    await record(world, user, sent)
    answer = await get(world, user, sent.id)
    for personal in ("Lovelace", "ada@a.test", "Plans", "192.0.2.7", "Editor/1.0", "region", "eu"):
        assert f'"{personal}'.encode() not in answer.leaf
    opened = open_leaf(answer.leaf, [])
    assert opened.withheld == 6
    assert opened.facts["actor"] == {"id": "u_1", "type": "user"}
    assert opened.facts["targets"] == [{"id": "d_1", "type": "document"}]


async def test_two_equal_events_have_different_digests(world):
    user = await world.new_user()
    first, second = event(), event()
    for sent in (first, second):
        await record(world, user, sent)
    answers = [await get(world, user, sent.id) for sent in (first, second)]
    assert not set(answers[0].disclosures) & set(answers[1].disclosures)


async def test_the_same_event_again_gets_the_first_receipt(world):
    user = await world.new_user()
    sent = event()
    await settled(world, user)
    first = await record(world, user, sent)
    await record_batch(world, user, [event() for _ in range(300)])
    again = await record(world, user, sent)
    assert again == first
    assert (await checkpoint(world, user)).tree_size == first.proof.tree_size + 300


async def test_a_retry_that_leaves_the_time_to_the_service_is_the_same_event(world):
    user = await world.new_user()
    sent = event()
    assert not sent.HasField("occurred_at")
    first = await record(world, user, sent)
    await asyncio.sleep(0.01)
    assert await record(world, user, sent) == first


async def test_the_same_id_with_other_content_is_refused(world):
    user = await world.new_user()
    sent = event()
    await record(world, user, sent)
    for changes in (
        {"action": "document.read"},
        {"user_agent": "x"},
        {"metadata": {"region": "us"}},
    ):
        call = world.events.RecordEvent(
            audit_pb2.RecordEventRequest(event=event(id=sent.id, **changes)),
            metadata=user.metadata,
        )
        refused = await refusal(call)
        assert refused.code is grpc.StatusCode.ALREADY_EXISTS
        assert refused.reason == "EVENT_ID_CONFLICT"
        assert refused.metadata == {"event_id": sent.id}


async def test_an_id_belongs_to_one_organisation(world):
    first, second = await world.new_user(), await world.new_user()
    sent = event()
    await record(world, first, sent)
    other = await record(world, second, event(id=sent.id, action="something.else"))
    assert other.organisation_id == second.organisation_id


@pytest.mark.parametrize(
    ("changes", "field", "complaint"),
    [
        ({"action": ""}, "event.action", "is required"),
        ({"action": "no spaces"}, "event.action", "pattern"),
        ({"actor": None}, "event.actor", "is required"),
        ({"actor": audit_pb2.Actor(id="")}, "event.actor.id", "is required"),
        ({"actor": audit_pb2.Actor(id="a\nb")}, "event.actor.id", "control characters"),
        ({"outcome": 0}, "event.outcome", "is required"),
        ({"outcome": 9}, "event.outcome", "defined"),
        ({"id": "no uuid"}, "event.id", "UUID"),
        ({"targets": [audit_pb2.Target(type="x")]}, "event.targets[0].id", "is required"),
        ({"source": "smart-audit.auth"}, "source", "services' own"),
        ({"metadata": {"x": "y" * 262_144}}, "metadata", "262144 bytes"),
        ({"metadata": {"x": float("inf")}}, "metadata", "infinite"),
    ],
)
async def test_a_bad_event_is_refused_by_field(world, changes, field, complaint):
    user = await world.new_user()
    call = world.events.RecordEvent(
        audit_pb2.RecordEventRequest(event=event(**changes)), metadata=user.metadata
    )
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert complaint in refused.fields[field]


async def test_metadata_may_nest_32_levels_and_no_more(world):
    user = await world.new_user()

    def nested(depth):
        return {"x": nested(depth - 1)} if depth > 1 else {"x": 1}

    assert await record(world, user, event(metadata=nested(32)))
    call = world.events.RecordEvent(
        audit_pb2.RecordEventRequest(event=event(metadata=nested(33))), metadata=user.metadata
    )
    assert "32 levels" in (await refusal(call)).fields["metadata"]


async def test_ids_that_overflow_an_entry_are_refused(world):
    user = await world.new_user()
    targets = [audit_pb2.Target(id="🔑" * 500 + str(n), type="é" * 120) for n in range(64)]
    call = world.events.RecordEvent(
        audit_pb2.RecordEventRequest(event=event(targets=targets)), metadata=user.metadata
    )
    assert (await refusal(call)).reason == "EVENT_TOO_LARGE"


async def test_a_batch_has_a_result_for_each_event_in_its_order(world):
    user = await world.new_user()
    good, conflicting = event(), event()
    await record(world, user, conflicting)
    results = await record_batch(
        world,
        user,
        [
            good,
            event(action=""),
            event(id=conflicting.id, action="other.content"),
            conflicting,
            event(organisation_id=str(uuid4())),
            event(),
        ],
    )
    reasons = [result.refusal.reason or "recorded" for result in results]
    assert reasons == [
        "recorded",
        "INVALID_ARGUMENT",
        "EVENT_ID_CONFLICT",
        "recorded",
        "ORGANISATION_FORBIDDEN",
        "recorded",
    ]
    assert list(results[1].refusal.fields) == ["action"]
    assert results[0].receipt.event_id == good.id
    assert results[5].receipt.proof.log_index == results[0].receipt.proof.log_index + 1
    for result in results:
        if result.HasField("receipt"):
            verify(result.receipt.proof)


async def test_an_event_twice_in_one_batch_is_recorded_once(world):
    user = await world.new_user()
    sent = event()
    conflict = event(id=sent.id, action="other.content")
    first, second, third = await record_batch(world, user, [sent, sent, conflict])
    assert first.receipt == second.receipt
    assert third.refusal.reason == "EVENT_ID_CONFLICT"


async def test_a_batch_holds_at_most_a_thousand_events(world):
    user = await world.new_user()
    results = await record_batch(world, user, [event() for _ in range(1000)])
    assert len({result.receipt.proof.log_index for result in results}) == 1000
    call = world.events.RecordEvents(
        audit_pb2.RecordEventsRequest(events=[event() for _ in range(1001)]),
        metadata=user.metadata,
    )
    assert "1000" in (await refusal(call)).fields["events"]


async def test_megabytes_in_one_batch_are_recorded(world):
    user = await world.new_user()
    messages = [event(metadata={"text": "x" * 9_000}) for _ in range(1000)]
    results = await asyncio.wait_for(record_batch(world, user, messages), 20)
    assert all(result.HasField("receipt") for result in results)


async def test_a_caller_records_for_its_own_organisation_only(world):
    user = await world.new_user()
    own = await record(world, user, event(organisation_id=user.organisation_id))
    assert own.organisation_id == user.organisation_id
    call = world.events.RecordEvent(
        audit_pb2.RecordEventRequest(event=event(organisation_id=str(uuid4()))),
        metadata=user.metadata,
    )
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.PERMISSION_DENIED
    assert refused.reason == "ORGANISATION_FORBIDDEN"


async def test_nobody_reads_another_organisations_events(world):
    first, second = await world.new_user(), await world.new_user()
    sent = event()
    await record(world, first, sent)
    call = world.events.GetEvent(
        audit_pb2.GetEventRequest(event_id=sent.id), metadata=second.metadata
    )
    refused = await refusal(call)
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "EVENT_NOT_FOUND")


async def test_writers_that_race_share_one_log_without_gaps(world):
    user = await world.new_user()
    before = (await settled(world, user)).tree_size
    batches = [[event() for _ in range(7)] for _ in range(40)]
    answers = await asyncio.gather(*(record_batch(world, user, batch) for batch in batches))
    indexes = [result.receipt.proof.log_index for answer in answers for result in answer]
    assert sorted(indexes) == list(range(before, before + 280))
    for answer in answers:
        places = [result.receipt.proof.log_index for result in answer]
        assert places == sorted(places)
        for result in answer:
            verify(result.receipt.proof)
