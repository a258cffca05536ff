"""The registry of event types: versions, the policy, and events that do not fit."""

import asyncio

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.audit.v1 import event_types_pb2 as pb
from tests.support.event_types import (
    ACCEPT,
    FLAG,
    REFUSE,
    event_type,
    register,
    registry,
    set_policy,
)
from tests.support.events import event, get, record, record_batch, settled
from tests.support.governance import own_events, until
from tests.support.world import refusal, running_world

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"enum": ["eu", "us"]},
        "items": {"type": "array", "items": {"$ref": "#/$defs/item"}},
    },
    "required": ["region"],
    "$defs": {"item": {"type": "object", "properties": {"size": {"type": "integer"}}}},
}


@pytest.fixture
async def user(world):
    user = await world.new_user()
    await settled(world, user)
    return user


async def listed(world, user, **request):
    answer = await registry(world).ListEventTypes(
        pb.ListEventTypesRequest(**request), metadata=user.metadata
    )
    return [one.action for one in answer.event_types], answer.next_page_token


async def found(world, user, action, version=0):
    request = pb.GetEventTypeRequest(action=action, version=version)
    answer = await registry(world).GetEventType(request, metadata=user.metadata)
    return answer.event_type


async def deleted(world, user, action):
    request = pb.DeleteEventTypeRequest(action=action)
    return await registry(world).DeleteEventType(request, metadata=user.metadata)


async def flag_of(world, user, receipt):
    answer = await get(world, user, receipt.event_id)
    return MessageToDict(answer.event.metadata)["event_type_flag"]


async def test_versions_are_numbered_never_change_and_the_latest_is_in_force(world, user):
    (first,) = await register(world, user, event_type("a.b", SCHEMA, display_name="Ab"))
    assert (first.version, first.created_by) == (1, user.id)
    (same,) = await register(world, user, event_type("a.b", SCHEMA, display_name="Ab"))
    assert same == first
    second, other = await register(
        world, user, event_type("a.b", display_name="AB"), event_type("c:D/e", description="Dee")
    )
    assert (second.version, other.version) == (2, 1)
    assert await found(world, user, "a.b") == second
    assert await found(world, user, "a.b", 1) == first
    await deleted(world, user, "a.b")
    assert (await refusal(found(world, user, "a.b"))).reason == "EVENT_TYPE_NOT_FOUND"
    assert (await refusal(found(world, user, "a.b", 3))).reason == "EVENT_TYPE_NOT_FOUND"
    assert (await refusal(deleted(world, user, "a.b"))).reason == "EVENT_TYPE_NOT_FOUND"
    assert await found(world, user, "a.b", 1) == first
    assert (await listed(world, user))[0] == ["c:D/e"]
    (again,) = await register(world, user, event_type("a.b", display_name="AB"))
    assert again.version == 4


async def test_each_change_is_an_event_of_the_log(world, user):
    await register(world, user, *(event_type(f"a.{number:03}") for number in range(70)))
    await register(world, user, event_type("a.000"))  # changes nothing
    await register(world, user, event_type("a.000", display_name="Nil"), event_type("a.001"))
    await deleted(world, user, "a.000")
    await set_policy(world, user, FLAG, REFUSE)
    await set_policy(world, user, FLAG, REFUSE)  # changes nothing
    told = await own_events(world, user, "audit.event_type.updated")
    assert [len(one.targets) for one in told] == [64, 6, 1]
    assert told[2].targets[0] == audit_pb2.Target(id="a.000", type="event_type", name="Nil")
    assert dict(told[2].metadata["versions"]) == {"a.000": 2}
    (gone,) = await own_events(world, user, "audit.event_type.deleted")
    assert gone.targets[0].id == "a.000"
    (policy,) = await own_events(world, user, "audit.event_type.policy_updated")
    assert {one.type: one.id for one in policy.targets} == {
        "unknown_actions": "flag",
        "invalid_metadata": "refuse",
    }


async def test_they_are_listed_in_pages_by_action(world, user):
    actions = [f"t.{letter}" for letter in "BAzcb"]
    await register(world, user, *map(event_type, actions))
    pages, token = [], ""
    while True:
        page, token = await listed(world, user, page_size=2, page_token=token)
        pages.append(page)
        if not token:
            break
    assert pages == [["t.A", "t.B"], ["t.b", "t.c"], ["t.z"]]
    assert (await refusal(listed(world, user, page_token="eyJ4"))).reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "nothing"}, "type"),
        ({"properties": {"a": {"typ": "string"}}}, "properties.a.typ"),
        ({"$ref": "https://example.com/schema"}, "$ref"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "$defs.a.$ref"),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, "properties.a.pattern"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema"),
        ({"description": "x" * 33_000}, ""),
        ({"items": {"anyOf": [{}] * 2_000}}, ""),
    ],
)
async def test_a_schema_that_is_not_taken_is_refused_by_field(world, user, schema, field):
    good = event_type("a.good")
    refused = await refusal(register(world, user, good, event_type("a.b", schema)))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "METADATA_SCHEMA_INVALID",
    )
    at = "event_types[1].metadata_schema"
    assert list(refused.fields) == [f"{at}.{field}" if field else at]
    assert await listed(world, user) == ([], "")


async def test_what_does_not_fit_is_accepted_flagged_or_refused_as_the_policy_says(world, user):
    await register(world, user, event_type("document.delete", SCHEMA))
    bad = {"region": "mars", "items": [{"size": 1}, {"size": "big"}]}
    await record(world, user, event(metadata=bad))
    await record(world, user, event(action="x.y"))

    await set_policy(world, user, FLAG, FLAG)
    flagged = await record(world, user, event(metadata=bad))
    stranger = await record(world, user, event(action="x.y"))
    fitting = await record(world, user, event(metadata={"region": "eu"}))
    flag = await flag_of(world, user, flagged)
    assert (flag["reason"], flag["version"]) == ("EVENT_METADATA_INVALID", 1)
    assert sorted(flag["problems"]) == [
        'metadata.items[1].size must satisfy type: "integer"',
        'metadata.region must satisfy enum: ["eu","us"]',
    ]
    assert await flag_of(world, user, stranger) == {"reason": "EVENT_TYPE_UNKNOWN"}
    read = (await get(world, user, fitting.event_id)).event
    assert dict(read.metadata) == {"region": "eu"}

    await set_policy(world, user, REFUSE, REFUSE)
    refused = await refusal(record(world, user, event(metadata=bad)))
    assert refused.reason == "EVENT_METADATA_INVALID"
    assert refused.fields == {
        "metadata.region": 'must satisfy enum: ["eu","us"]',
        "metadata.items[1].size": 'must satisfy type: "integer"',
    }
    refused = await refusal(record(world, user, event(action="x.y")))
    assert (refused.reason, list(refused.fields)) == ("EVENT_TYPE_UNKNOWN", ["action"])
    results = await record_batch(
        world, user, [event(metadata={"region": "us"}), event(action="x.y"), event(metadata={})]
    )
    reasons = [one.refusal.reason for one in results]
    assert reasons == ["", "EVENT_TYPE_UNKNOWN", "EVENT_METADATA_INVALID"]


async def test_a_retry_gets_its_receipt_whatever_the_policy_has_become(world, user):
    plain, bare = event(action="x.y"), event(action="x.y", metadata={})
    receipts = [await record(world, user, plain), await record(world, user, bare)]
    for unknown in (FLAG, REFUSE, ACCEPT):
        await set_policy(world, user, unknown)
        assert [await record(world, user, one) for one in (plain, bare)] == receipts
    await set_policy(world, user, FLAG)
    flagged = event(action="x.y")
    receipt = await record(world, user, flagged)
    for unknown in (REFUSE, ACCEPT):
        await set_policy(world, user, unknown)
        assert await record(world, user, flagged) == receipt
    flagged.actor.name = "Somebody else"
    assert (await refusal(record(world, user, flagged))).reason == "EVENT_ID_CONFLICT"
    await set_policy(world, user, REFUSE)
    assert (await refusal(record(world, user, flagged))).reason == "EVENT_ID_CONFLICT"


def texts(world, user, action):
    with world.database.connect() as connection:
        rows = connection.execute(
            "SELECT text FROM audit.phrases WHERE organisation_id = %s AND action = %s",
            [user.organisation_id, action],
        ).fetchall()
    return [row[0] for row in rows]


async def test_what_a_type_is_called_and_means_is_found_by_search_before_and_after(world, user):
    await record(world, user, event(action="x.zap"))
    await register(
        world,
        user,
        event_type("x.zap", display_name="Obliteration", description="All is gone."),
        event_type("x.late", display_name="Tardiness"),
    )

    async def told(action, word):
        return [text for text in texts(world, user, action) if word in text]

    (text,) = await until(lambda: told("x.zap", "Obliteration"))
    assert "All is gone." in text
    await record(world, user, event(action="x.late"))
    assert await until(lambda: told("x.late", "Tardiness"))
    await register(world, user, event_type("x.zap", display_name="Annihilation"))
    (text,) = await until(lambda: told("x.zap", "Annihilation"))
    assert "Obliteration" not in text
    await deleted(world, user, "x.zap")

    async def bare():
        return "Annihilation" not in "".join(texts(world, user, "x.zap"))

    await until(bare)


async def test_the_services_own_events_are_never_held_against_it(world, user):
    await set_policy(world, user, REFUSE, REFUSE)
    await world.login(user.email)
    async with asyncio.timeout(20):
        while not [one for one in await own_events(world, user, "auth.login") if one.log_index > 2]:
            await asyncio.sleep(0.05)
    assert await own_events(world, user, "audit.event.read")


async def test_a_change_is_in_force_at_once_in_every_process(cluster):
    database = cluster.new_database()
    async with running_world(database) as world, running_world(database) as other:
        user = await world.new_user()
        await settled(world, user)
        for unknown in (REFUSE, ACCEPT, REFUSE):
            await set_policy(world, user, unknown)
            for one in (other, world):
                results = await record_batch(one, user, [event(action="x.y")])
                assert bool(results[0].refusal.reason) is (unknown == REFUSE)
            await register(world, user, event_type("x.y"))
            (result,) = await record_batch(other, user, [event(action="x.y")])
            assert result.HasField("receipt")
            await deleted(other, user, "x.y")


async def test_who_may_only_read_changes_nothing(world, user, installation_token):
    reader = installation_token(user.organisation_id, ["events.read"])
    stub = registry(world)
    await stub.ListEventTypes(pb.ListEventTypesRequest(), metadata=reader)
    for call in (
        stub.UpsertEventTypes(
            pb.UpsertEventTypesRequest(event_types=[event_type("a.b")]), metadata=reader
        ),
        stub.DeleteEventType(pb.DeleteEventTypeRequest(action="a.b"), metadata=reader),
        stub.UpdateEventTypePolicy(
            pb.UpdateEventTypePolicyRequest(policy=pb.EventTypePolicy()), metadata=reader
        ),
    ):
        assert (await refusal(call)).reason == "SCOPE_MISSING"
