"""Legal holds and the settings of a log, and the events that tell of them."""

import asyncio
import base64
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2, governance_pb2
from smart_audit.tlog.leaf import open_leaf
from tests.support.events import checkpoint, event, record, settled
from tests.support.governance import (
    erase,
    facts_of,
    own_events,
    place_hold,
    release_hold,
    stamp,
    update_settings,
)
from tests.support.world import refusal

START = datetime(2024, 1, 1, 12, 30, 15, 250, tzinfo=UTC)
DAY = timedelta(days=1)
MEMBERS, PUBLIC = governance_pb2.LOG_READERS_MEMBERS, governance_pb2.LOG_READERS_PUBLIC


@pytest.fixture
async def user(world):
    user = await world.new_user()
    await settled(world, user)
    return user


async def listed(world, user, **request):
    answer = await world.governance.ListHolds(
        governance_pb2.ListHoldsRequest(**request), metadata=user.metadata
    )
    return list(answer.holds), answer.next_page_token


async def settings_of(world, user):
    answer = await world.governance.GetLogSettings(
        governance_pb2.GetLogSettingsRequest(), metadata=user.metadata
    )
    return answer.settings


@asynccontextmanager
async def broken(world, table, rule):
    """Let the database refuse what it otherwise takes."""
    alter = world.database.alter
    await alter(f"ALTER TABLE audit.{table} ADD CONSTRAINT broken CHECK ({rule}) NOT VALID")
    yield
    await alter(f"ALTER TABLE audit.{table} DROP CONSTRAINT broken")


@pytest.mark.parametrize(
    ("held", "facts"),
    [
        ({"subject": "u_1"}, {"held_subject_type": "user", "held_subject": "u_1"}),
        ({"target_id": "d_1"}, {"held_target": "d_1"}),
        (
            {"period": (START, START + DAY)},
            {
                "held_from": "2024-01-01T12:30:15.000250Z",
                "held_before": "2024-01-02T12:30:15.000250Z",
            },
        ),
    ],
)
async def test_a_hold_is_placed_and_the_log_tells_of_it(world, user, held, facts):
    hold = (await place_hold(world, user, reason="case 12", **held)).hold
    assert (hold.reason, hold.placed_by) == ("case 12", user.id)
    assert not hold.HasField("released_at")
    assert await listed(world, user) == ([hold], "")
    (told,) = await own_events(world, user, "log.hold.place")
    assert told.id == hold.id
    assert told.occurred_at == told.recorded_at == hold.placed_at
    assert facts_of(told) == facts
    assert told.metadata["reason"] == "case 12"
    assert (told.source, told.recorded_by) == ("smart-audit.audit", user.id)


async def test_the_events_about_a_held_id_are_listed_by_it(world, user):
    hold = (await place_hold(world, user, target_id="d_77")).hold
    await release_hold(world, user, hold.id)
    for target_id, action in (("d_77", "log.hold.place"), (hold.id, "log.hold.release")):
        answer = await world.events.ListEvents(
            audit_pb2.ListEventsRequest(target_id=target_id), metadata=user.metadata
        )
        assert [one.action for one in answer.events] == [action]


async def test_a_hold_is_released_once(world, user):
    hold = (await place_hold(world, user, subject="u_1")).hold
    answers = await asyncio.gather(*(release_hold(world, user, hold.id) for _ in range(8)))
    assert len({answer.hold.SerializeToString(deterministic=True) for answer in answers}) == 1
    released = answers[0].hold
    (told,) = await own_events(world, user, "log.hold.release")
    assert released.released_at == told.occurred_at
    assert facts_of(told) == {"hold": hold.id}
    assert (await release_hold(world, user, hold.id)).hold == released
    assert await listed(world, user) == ([released], "")


async def test_an_unknown_hold_is_not_found_nor_that_of_another_log(world, user):
    hold = (await place_hold(world, user, subject="u_1")).hold
    other = await world.new_user()
    for caller, hold_id in ((user, str(UUID(int=7))), (other, hold.id)):
        refused = await refusal(release_hold(world, caller, hold_id))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "HOLD_NOT_FOUND")
        assert refused.metadata == {"hold_id": hold_id}
    assert await listed(world, other) == ([], "")


@pytest.mark.parametrize(
    ("held", "field"),
    [
        ({"period": (START, START)}, "period.before"),
        ({"period": (START + DAY, START)}, "period.before"),
        ({"subject": ""}, "subject.id"),
        ({"target_id": ""}, "target_id"),
        ({"target_id": "a\nb"}, "target_id"),
        ({"subject": "u_1", "reason": ""}, "reason"),
        ({}, "held"),
    ],
)
async def test_a_bad_hold_is_refused_by_field(world, user, held, field):
    refused = await refusal(place_hold(world, user, **held))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refused.fields
    assert await listed(world, user) == ([], "")


async def test_pages_of_holds_join_while_holds_are_placed(world, user):
    placed = [(await place_hold(world, user, target_id=f"d_{n}")).hold.id for n in range(7)]
    token, collected = "", []
    while True:
        holds, token = await listed(world, user, page_size=3, page_token=token)
        collected += [hold.id for hold in holds]
        if not token:
            break
        await place_hold(world, user, target_id="newer")
    assert collected == placed[::-1]


async def test_a_page_token_that_is_none_is_refused(world, user):
    await checkpoint(world, user)
    await record(world, user, event())
    await checkpoint(world, user)
    of_others = await world.log.ListCheckpoints(
        audit_pb2.ListCheckpointsRequest(page_size=1), metadata=user.metadata
    )
    assert of_others.next_page_token
    contents = [b"[1]", b'[1,"x"]', b'["x","y"]', b"[1e300,7]", b"[1,7]", b"{}"]
    tokens = [base64.urlsafe_b64encode(content).decode() for content in contents]
    for token in ["nonsense", "é" * 9, of_others.next_page_token, *tokens]:
        refused = await refusal(listed(world, user, page_token=token))
        assert refused.reason == "PAGE_TOKEN_INVALID"
        assert "page_token" in refused.fields


async def test_a_log_keeps_all_for_its_members_until_told_otherwise(world, user):
    assert await settings_of(world, user) == governance_pb2.LogSettings(
        retention_days=0, readers=MEMBERS, reads=governance_pb2.READ_RECORDING_ON
    )


async def test_settings_are_replaced_and_the_log_tells_of_each_change(world, user):
    taken = await update_settings(world, user, retention_days=90, readers=PUBLIC)
    assert (taken.retention_days, taken.readers) == (90, PUBLIC)
    assert await settings_of(world, user) == taken
    await update_settings(world, user, retention_days=90, readers=PUBLIC)  # changes nothing
    taken = await update_settings(world, user, retention_days=30)
    assert (taken.retention_days, taken.readers) == (30, MEMBERS)
    told = await own_events(world, user, "log.settings.update")
    assert [facts_of(one) for one in told] == [
        {"retention_days": "90", "readers": "public", "reads": "on"},
        {"retention_days": "30", "readers": "members", "reads": "on"},
    ]
    with world.database.connect() as connection:
        (event_id,) = connection.execute(
            "SELECT event_id::text FROM audit.log_settings WHERE organisation_id = %s",
            [user.organisation_id],
        ).fetchone()
    assert event_id == told[-1].id


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"retention_days": -1}, "settings.retention_days"),
        ({"retention_days": 36501}, "settings.retention_days"),
        ({"readers": 9}, "settings.readers"),
        ({"reads": 9}, "settings.reads"),
    ],
)
async def test_bad_settings_are_refused_by_field(world, user, settings, field):
    refused = await refusal(update_settings(world, user, **settings))
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field in refused.fields


async def test_who_may_only_read_changes_nothing(world, user, installation_token):
    reader = installation_token(user.organisation_id, ["log.read", "events.read"])
    holds = await world.governance.ListHolds(governance_pb2.ListHoldsRequest(), metadata=reader)
    assert list(holds.holds) == []
    calls = [
        world.governance.UpdateLogSettings(
            governance_pb2.UpdateLogSettingsRequest(settings={"retention_days": 1}),
            metadata=reader,
        ),
        world.governance.PlaceHold(
            governance_pb2.PlaceHoldRequest(target_id="x", reason="y"), metadata=reader
        ),
        world.governance.ReleaseHold(
            governance_pb2.ReleaseHoldRequest(hold_id=str(UUID(int=7))), metadata=reader
        ),
    ]
    for call in calls:
        assert (await refusal(call)).reason == "SCOPE_MISSING"


async def test_a_change_that_fails_leaves_no_event(world, user):
    size = (await checkpoint(world, user)).tree_size
    async with broken(world, "holds", "false"):
        call = place_hold(world, user, subject="u_1")
        assert (await refusal(call)).code is grpc.StatusCode.INTERNAL
    assert (await checkpoint(world, user)).tree_size == size
    assert await own_events(world, user, "log.hold.place") == []
    await place_hold(world, user, subject="u_1")


async def test_an_event_that_fails_leaves_no_change(world, user):
    await record(world, user, event())
    async with broken(world, "entries", "false"):
        calls = [
            place_hold(world, user, subject="u_1"),
            erase(world, user, "u_1"),
            update_settings(world, user, retention_days=5),
        ]
        for call in calls:
            assert (await refusal(call)).code is grpc.StatusCode.INTERNAL
    assert await listed(world, user) == ([], "")
    assert (await settings_of(world, user)).retention_days == 0
    (recorded,) = await own_events(world, user, "document.delete")
    assert recorded.erased_fields == []


async def test_the_public_facts_alone_tell_the_state(world, user):
    await record(world, user, event())
    first = (await place_hold(world, user, subject="u_5")).hold
    await place_hold(world, user, target_id="d_5")
    await place_hold(world, user, period=(START, START + DAY))
    await release_hold(world, user, first.id)
    await update_settings(world, user, retention_days=7)
    await update_settings(world, user, retention_days=400, readers=PUBLIC)
    await erase(world, user, "u_1")

    settings, holds, erased = {}, {}, []
    for facts in await public_facts(world, user):
        if facts.get("source") != "smart-audit.audit":
            continue
        told = {target["type"]: target["id"] for target in facts.get("targets", ())}
        match facts["action"]:
            case "log.settings.update":
                settings = told
            case "log.hold.place":
                holds[facts["id"]] = told
            case "log.hold.release":
                del holds[told["hold"]]
            case "subject.erase":
                erased.append(told)
    assert settings == {"retention_days": "400", "readers": "public", "reads": "on"}
    assert erased == [{"erased_subject_type": "user", "erased_subject": "u_1"}]
    standing = {
        hold.id for hold in (await listed(world, user))[0] if not hold.HasField("released_at")
    }
    assert set(holds) == standing


async def public_facts(world, user):
    """The leaves of all events, without their disclosures, in the order of the log."""
    answer = await world.events.ListEvents(
        audit_pb2.ListEventsRequest(page_size=500, proof=True), metadata=user.metadata
    )
    proofs = sorted(answer.proofs, key=lambda proof: proof.inclusion_proof.log_index)
    return [open_leaf(proof.leaf, []).facts for proof in proofs]


async def test_a_period_is_of_the_time_when_events_occurred(world, user):
    message = event()
    message.occurred_at.CopyFrom(stamp(START))
    await record(world, user, message)
    await place_hold(world, user, period=(START, START + timedelta(microseconds=1)))
    assert (await refusal(erase(world, user, "u_1"))).reason == "SUBJECT_HELD"


async def test_a_period_ends_before_its_last_moment(world, user):
    message = event()
    message.occurred_at.CopyFrom(stamp(START))
    await record(world, user, message)
    await place_hold(world, user, period=(START - DAY, START))
    await erase(world, user, "u_1")
