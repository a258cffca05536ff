"""Saved searches: whose they are, who changes them, and that the log tells of it."""

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.audit.v1 import saved_searches_pb2 as pb
from tests.support.event_types import saved_searches
from tests.support.events import settled
from tests.support.governance import erase, own_events
from tests.support.tokens import bearer, forged
from tests.support.world import refusal

SUCCESS = audit_pb2.OUTCOME_SUCCESS


@pytest.fixture
async def user(world):
    user = await world.new_user()
    await settled(world, user)
    return user


@pytest.fixture
async def member(world, user):
    """Call metadata of somebody else who reads the same log."""
    other = await world.new_user()
    return bearer(forged(world, other, org=user.organisation_id, scope="events.read"))


async def saved(world, metadata, **fields):
    request = pb.CreateSavedSearchRequest(search=pb.SavedSearch(**{"name": "mine", **fields}))
    return (await saved_searches(world).CreateSavedSearch(request, metadata=metadata)).search


async def changed(world, metadata, search_id, **fields):
    search = pb.SavedSearch(**{"name": "mine", **fields})
    request = pb.UpdateSavedSearchRequest(search_id=search_id, search=search)
    return (await saved_searches(world).UpdateSavedSearch(request, metadata=metadata)).search


async def deleted(world, metadata, search_id):
    request = pb.DeleteSavedSearchRequest(search_id=search_id)
    return await saved_searches(world).DeleteSavedSearch(request, metadata=metadata)


async def found(world, metadata, search_id):
    request = pb.GetSavedSearchRequest(search_id=search_id)
    return (await saved_searches(world).GetSavedSearch(request, metadata=metadata)).search


async def names(world, metadata, **request):
    answer = await saved_searches(world).ListSavedSearches(
        pb.ListSavedSearchesRequest(**request), metadata=metadata
    )
    return [one.name for one in answer.searches], answer.next_page_token


async def test_a_private_one_is_its_owners_alone_and_the_log_tells_of_each_change(
    world, user, member
):
    made = await saved(world, user.metadata, query="who read secrets?", filter="outcome=DENIED")
    assert (made.owner_id, made.shared) == (user.id, False)
    assert await found(world, user.metadata, made.id) == made
    for call in (found, changed, deleted):
        assert (await refusal(call(world, member, made.id))).reason == "SAVED_SEARCH_NOT_FOUND"
    assert (await names(world, member))[0] == []
    second = await changed(world, user.metadata, made.id, query="who read them?")
    assert (second.query, second.filter, second.created_at) == (
        "who read them?",
        "",
        made.created_at,
    )
    assert await changed(world, user.metadata, made.id, query="who read them?") == second
    await deleted(world, user.metadata, made.id)
    assert (await names(world, user.metadata))[0] == []
    told = [
        await own_events(world, user, f"audit.saved_search.{what}")
        for what in ("created", "updated", "deleted")
    ]
    # What the member was refused is told as well.
    done = [[one.outcome for one in kind if one.outcome == SUCCESS] for kind in told]
    assert done == [[SUCCESS]] * 3
    (target,) = told[0][0].targets
    assert (target.type, target.id, target.name) == ("saved_search", made.id, "mine")
    assert dict(told[0][0].metadata)["filter"] == "outcome=DENIED"


async def test_a_shared_one_is_seen_by_all_and_changed_by_its_owner_and_who_manages_the_log(
    world, user, member
):
    made = await saved(world, member, shared=True)
    assert await found(world, user.metadata, made.id) == made
    other = bearer(forged(world, await world.new_user(), org=user.organisation_id))
    reader = bearer(
        forged(world, await world.new_user(), org=user.organisation_id, scope="events.read")
    )
    for call in (changed, deleted):
        assert (await refusal(call(world, reader, made.id))).reason == "SAVED_SEARCH_FORBIDDEN"
    renamed = await changed(world, other, made.id, name="ours", shared=True)
    assert renamed.owner_id == made.owner_id
    refused = await refusal(changed(world, other, made.id, name="ours", shared=False))
    assert refused.reason == "SAVED_SEARCH_FORBIDDEN"
    assert not (await changed(world, member, made.id)).shared
    await changed(world, member, made.id, shared=True)
    await deleted(world, user.metadata, made.id)


async def test_names_are_unique_among_ones_own_and_among_what_is_shared(world, user, member):
    await saved(world, user.metadata, name="Denied")
    refused = await refusal(saved(world, user.metadata, name="denied"))
    assert refused.code is grpc.StatusCode.ALREADY_EXISTS
    assert refused.reason == "SAVED_SEARCH_NAME_TAKEN"
    theirs = await saved(world, member, name="denied")
    await saved(world, user.metadata, name="Shared", shared=True)
    refused = await refusal(saved(world, member, name="SHARED", shared=True))
    assert refused.reason == "SAVED_SEARCH_NAME_TAKEN"
    refused = await refusal(changed(world, member, theirs.id, name="shared", shared=True))
    assert refused.reason == "SAVED_SEARCH_NAME_TAKEN"


async def test_they_are_listed_in_pages_by_name(world, user, member):
    for name in "bdA":
        await saved(world, user.metadata, name=name)
    await saved(world, member, name="c", shared=True)
    await saved(world, member, name="e")
    first, token = await names(world, user.metadata, page_size=3)
    rest, end = await names(world, user.metadata, page_size=3, page_token=token)
    assert (first, rest, end) == (["A", "b", "c"], ["d"], "")
    refused = await refusal(names(world, user.metadata, page_token="WyJ4Il0="))
    assert refused.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"filter": "action = "}, "FILTER_INVALID", "search.filter"),
        ({"filter": "nothing = 1"}, "FILTER_INVALID", "search.filter"),
        ({"name": ""}, "INVALID_ARGUMENT", "search.name"),
        ({"query": "x" * 1001}, "INVALID_ARGUMENT", "search.query"),
    ],
)
async def test_what_is_wrong_is_named(world, user, fields, reason, field):
    refused = await refusal(saved(world, user.metadata, **fields))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert list(refused.fields) == [field]


async def test_the_private_ones_of_who_is_erased_are_gone_and_shared_ones_have_no_owner(
    world, user
):
    other = await world.new_user()
    token = bearer(forged(world, other, org=user.organisation_id, scope="events.read"))
    private = await saved(world, token, name="Charles, again")
    shared = await saved(world, token, name="shared", shared=True)
    await erase(world, user, other.id)
    assert (await refusal(found(world, token, private.id))).reason == "SAVED_SEARCH_NOT_FOUND"
    assert (await found(world, user.metadata, shared.id)).owner_id == ""
    await changed(world, user.metadata, shared.id, name="kept", shared=True)
