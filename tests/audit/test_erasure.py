"""Erasing a person: what can no longer be read, and what stays as it was."""

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import psycopg
import pytest

from smart_audit.api.audit.v1 import audit_pb2, governance_pb2
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
from tests.support.governance import (
    erase,
    facts_of,
    leaf_of,
    own_events,
    place_hold,
    release_hold,
)
from tests.support.world import refusal, running_world

ALL_FIELDS = {
    "actor.name",
    "actor.email",
    "source_address",
    "user_agent",
    "targets.0.name",
    "metadata",
}


@pytest.fixture
async def user(world):
    user = await world.new_user()
    await settled(world, user)
    return user


def keys(world, user, subject_id):
    """Of each key of a subject: whether it is live."""
    with world.database.connect() as connection:
        rows = connection.execute(
            "SELECT wrapped_key IS NOT NULL FROM audit.subject_keys"
            " WHERE organisation_id = %s AND subject_id = %s ORDER BY key_id",
            [user.organisation_id, subject_id],
        )
        return [live for (live,) in rows]


def person(subject_id, **fields):
    return audit_pb2.Target(id=subject_id, type="user", **fields)


async def test_nothing_personal_can_be_read_after_an_erasure(world, user):
    sent = event()
    await record(world, user, sent)
    before = await get(world, user, sent.id)
    await erase(world, user, "u_1")
    after = await get(world, user, sent.id)
    assert set(after.event.erased_fields) == ALL_FIELDS
    assert after.disclosures == []
    assert after.event.actor == audit_pb2.Actor(id="u_1", type="user")
    assert (after.event.source_address, after.event.user_agent) == ("", "")
    assert not after.event.HasField("metadata")
    assert after.event.targets == [audit_pb2.Target(id="d_1", type="document")]
    assert (after.leaf, after.leaf_hash) == (before.leaf, before.leaf_hash)


async def test_proofs_and_listings_work_as_before(world, user):
    results = await record_batch(world, user, [event() for _ in range(5)])
    first = await checkpoint(world, user)
    await erase(world, user, "u_1")
    answer = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(actor_id="u_1", proof=True), metadata=user.metadata
    )
    assert len(answer.events) == len(answer.proofs) == 5
    for proof in answer.proofs:
        verify(proof.inclusion_proof)
    for result in results:
        proven = await world.events.GetEvent(
            audit_pb2.GetEventRequest(event_id=result.receipt.event_id, proof=True),
            metadata=user.metadata,
        )
        verify(proven.inclusion_proof)
    consistency = await world.log.GetConsistencyProof(
        audit_pb2.GetConsistencyProofRequest(first_size=first.tree_size), metadata=user.metadata
    )
    assert consistency.first_root_hash == first.root_hash
    call = world.events.DiscloseEvent(
        audit_pb2.DiscloseEventRequest(event_id=results[0].receipt.event_id, fields=["actor.name"]),
        metadata=user.metadata,
    )
    assert (await refusal(call)).reason == "FIELD_UNKNOWN"


async def test_a_log_event_tells_of_the_erasure(world, user):
    await record(world, user, event())
    answer = await erase(world, user, "u_1", reason="request 12")
    (told,) = await own_events(world, user, "subject.erase")
    assert (told.id, told.log_index) == (answer.event_id, answer.log_index)
    assert told.occurred_at == told.recorded_at == answer.erased_at
    assert (told.source, told.actor.type, told.actor.id) == ("smart-audit.audit", "user", user.id)
    assert told.recorded_by == user.id
    assert told.metadata["reason"] == "request 12"
    assert facts_of(told) == {"erased_subject_type": "user", "erased_subject": "u_1"}
    facts = await leaf_of(world, user, told.id)
    assert facts["targets"] == [
        {"id": "user", "type": "erased_subject_type"},
        {"id": "u_1", "type": "erased_subject"},
    ]
    assert keys(world, user, "u_1") == [False]
    listed = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(target_id="u_1"), metadata=user.metadata
    )
    assert [one.id for one in listed.events] == [told.id]


async def test_repeating_an_erasure_changes_nothing(world, user):
    await record(world, user, event())
    first = await erase(world, user, "u_1")
    size = (await checkpoint(world, user)).tree_size
    assert await erase(world, user, "u_1", reason="again") == first
    assert (await checkpoint(world, user)).tree_size == size


async def test_erasures_at_the_same_time_are_one(world, user):
    await record(world, user, event())
    answers = await asyncio.gather(*(erase(world, user, "u_1") for _ in range(12)))
    assert len({answer.event_id for answer in answers}) == 1
    assert len(await own_events(world, user, "subject.erase")) == 1


async def test_whom_the_log_never_saw_it_cannot_erase(world, user):
    size = (await checkpoint(world, user)).tree_size
    refused = await refusal(erase(world, user, "nobody"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "SUBJECT_NOT_FOUND")
    await record(world, user, event())
    assert (await refusal(erase(world, user, "u_1", type="robot"))).reason == "SUBJECT_NOT_FOUND"
    # The event, and the two refusals.
    assert (await checkpoint(world, user)).tree_size == size + 3


async def test_an_erasure_reaches_one_log_only(world, user):
    other = await world.new_user()
    sent = event()
    await record(world, user, event())
    await record(world, other, sent)
    await erase(world, user, "u_1")
    assert (await get(world, other, sent.id)).event.actor.name == "Ada Lovelace"
    assert (await refusal(erase(world, other, "u_2"))).reason == "SUBJECT_NOT_FOUND"


async def test_only_the_fields_of_the_erased_go_and_what_may_tell_of_them(world, user):
    sent = event(targets=[person("u_2", name="Bob"), person("u_3", name="Eve")])
    await record(world, user, sent)
    await erase(world, user, "u_2")
    shown = (await get(world, user, sent.id)).event
    assert set(shown.erased_fields) == {"targets.0.name", "metadata"}
    assert [target.name for target in shown.targets] == ["", "Eve"]
    assert shown.actor.name == "Ada Lovelace"


async def test_a_retry_of_an_old_event_gets_its_receipt(world, user):
    sent = event()
    first = await record(world, user, sent)
    await erase(world, user, "u_1")
    assert await record(world, user, sent) == first
    call = world.events.RecordEvent(
        audit_pb2.RecordEventRequest(event=event(id=sent.id, action="other.action")),
        metadata=user.metadata,
    )
    assert (await refusal(call)).reason == "EVENT_ID_CONFLICT"


async def test_new_events_of_an_erased_person_have_a_new_key_which_can_be_erased(world, user):
    old, new = event(), event()
    await record(world, user, old)
    first = await erase(world, user, "u_1")
    receipt = await record(world, user, new)
    answer = await get(world, user, new.id)
    assert answer.event.actor.name == "Ada Lovelace"
    verify_event(answer, receipt.proof)
    assert set((await get(world, user, old.id)).event.erased_fields) == ALL_FIELDS
    assert keys(world, user, "u_1") == [False, True]
    second = await erase(world, user, "u_1")
    assert second.log_index > first.log_index
    assert set((await get(world, user, new.id)).event.erased_fields) == ALL_FIELDS
    assert await erase(world, user, "u_1") == second


async def test_who_erases_themselves_leaves_no_key_and_no_reason(world, user):
    await record(world, user, event(actor=audit_pb2.Actor(id=user.id, name="Ada")))
    answers = await asyncio.gather(
        *(erase(world, user, user.id, reason="I want to go") for _ in range(5))
    )
    assert len({answer.event_id for answer in answers}) == 1
    assert not any(keys(world, user, user.id))
    (told,) = await own_events(world, user, "subject.erase")
    assert not told.HasField("metadata")
    assert list(told.erased_fields) == []


async def test_another_process_that_remembers_the_key_does_not_use_it(world, user):
    async with running_world(world.database) as second:
        sent = [event() for _ in range(3)]
        await record(world, user, sent[0])
        await record(second, user, sent[1])
        await erase(world, user, "u_1")
        # The second one still holds the key, in a batch with somebody who has not been erased.
        results = await record_batch(
            second, user, [sent[2], event(actor=audit_pb2.Actor(id="u_8", name="Bob"))]
        )
        for one in sent[:2]:
            assert set((await get(second, user, one.id)).event.erased_fields) == ALL_FIELDS
        shown = await get(world, user, sent[2].id)
        assert shown.event.actor.name == "Ada Lovelace"
        verify_event(shown, results[0].receipt.proof)
        assert keys(world, user, "u_1") == [False, True]


@pytest.mark.soak
async def test_recording_and_erasing_at_once_loses_nothing(world, user):
    async with running_world(world.database) as second:
        await record(world, user, event())
        worlds = [world, second] * 30
        batches = [[event(), event()] for _ in worlds]

        async def erase_again():
            for _ in range(10):
                await erase(world, user, "u_1")
                await asyncio.sleep(0.02)

        answers, _ = await asyncio.gather(
            asyncio.gather(
                *(
                    record_batch(one, user, batch)
                    for one, batch in zip(worlds, batches, strict=True)
                )
            ),
            erase_again(),
        )
        for answer in answers:
            for result in answer:
                shown = await get(world, user, result.receipt.event_id)
                verify(result.receipt.proof)
                assert bool(shown.event.actor.name) is not bool(shown.event.erased_fields)


async def test_a_destroyed_key_does_not_come_back(world, user):
    await record(world, user, event())
    await erase(world, user, "u_1")
    url = world.database.service_url("audit")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT set_config('audit.organisation_id', %s, false)", [user.organisation_id]
        )
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="only be destroyed"):
            connection.execute(
                "UPDATE audit.subject_keys SET wrapped_key = 'x', erased_by = NULL"
                " WHERE subject_id = 'u_1'"
            )


NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "held",
    [
        {"subject": "u_1"},
        {"target_id": "u_2"},
        {"target_id": "d_1"},
        {"subject": "u_2"},
        {"period": (NOW - DAY, NOW + DAY)},
    ],
)
async def test_a_hold_on_the_persons_events_forbids_the_erasure(world, user, held):
    sent = event(targets=[audit_pb2.Target(id="d_1"), person("u_2", name="Bob")])
    await record(world, user, sent)
    hold = (await place_hold(world, user, **held)).hold
    size = (await checkpoint(world, user)).tree_size
    for subject in ("u_1", "u_2"):
        refused = await refusal(erase(world, user, subject))
        assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refused.reason == "SUBJECT_HELD"
        assert refused.metadata == {"subject_type": "user", "subject_id": subject}
    # The refusals are in the log, and nothing else.
    assert (await checkpoint(world, user)).tree_size == size + 2
    assert (await get(world, user, sent.id)).event.erased_fields == []
    await release_hold(world, user, hold.id)
    for subject in ("u_1", "u_2"):
        await erase(world, user, subject)


@pytest.mark.parametrize(
    "held",
    [
        {"subject": "u_9"},
        {"target_id": "d_9"},
        {"target_id": "u_2"},
        {"period": (NOW - 3 * DAY, NOW - DAY)},
    ],
)
async def test_a_hold_on_other_events_does_not(world, user, held):
    await record(world, user, event())
    await record(world, user, event(actor=audit_pb2.Actor(id="u_2", name="Bob")))
    await place_hold(world, user, **held)
    await erase(world, user, "u_1")


async def test_the_own_events_that_name_a_person_hold_up_nothing(world, user):
    await record(world, user, event(actor=audit_pb2.Actor(id=user.id, name="Ada")))
    await record(world, user, event())
    await place_hold(world, user, subject="u_1")
    await erase(world, user, user.id)


async def test_the_database_refuses_to_erase_whom_a_hold_covers(world, user):
    await record(world, user, event())
    await place_hold(world, user, subject="u_1")
    with (
        world.database.connect() as connection,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="legal hold"),
    ):
        connection.execute(
            "UPDATE audit.subject_keys SET wrapped_key = NULL, erased_by = gen_random_uuid()"
            " WHERE organisation_id = %s AND subject_id = 'u_1'",
            [user.organisation_id],
        )


@pytest.mark.parametrize(
    "subject", [{}, {"id": ""}, {"id": "a\nb"}, {"id": "x", "type": "t" * 129}]
)
async def test_a_bad_subject_is_refused_by_field(world, user, subject):
    request = governance_pb2.EraseSubjectRequest()
    if subject:
        request.subject.CopyFrom(governance_pb2.Subject(**subject))
    call = world.governance.EraseSubject(request, metadata=user.metadata)
    refused = await refusal(call)
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert all(field.startswith("subject") for field in refused.fields)


async def test_erasing_needs_its_scope(world, user, installation_token):
    call = world.governance.EraseSubject(
        governance_pb2.EraseSubjectRequest(subject=governance_pb2.Subject(id="u_1")),
        metadata=installation_token(user.organisation_id, ["log.manage", "log.read"]),
    )
    assert (await refusal(call)).reason == "SCOPE_MISSING"
