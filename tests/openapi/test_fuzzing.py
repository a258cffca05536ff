"""Every operation of the description is tried against the running gateway."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest

from smart_audit.stack.limits import RateLimits
from tests.openapi.fuzzing import Caller, Fuzzing, operation_ids
from tests.support.administrators import new_administrator
from tests.support.gateway import Gateway, running_gateway
from tests.support.world import PASSWORD, User, running_world

ADMINISTRATION = frozenset(
    {
        "ListUsers",
        "GetUser",
        "DeactivateUser",
        "ReactivateUser",
        "ForcePasswordReset",
        "EndUserSessions",
        "ListUserEvents",
        "Impersonate",
    }
)


async def things(gateway, user):
    """Makes one of each thing that calls can be about; their ids, by the names of parameters."""
    headers = {"authorization": f"Bearer {user.access_token}"}

    async def made(path, body):
        answer = await gateway.http.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    event = {"action": "document.delete", "actor": {"id": "u_1"}, "outcome": "OUTCOME_SUCCESS"}
    account = await made("/v1/service-accounts", {"name": "fuzz", "scopes": ["events.read"]})
    account_id = account["service_account"]["id"]
    key = await made(f"/v1/service-accounts/{account_id}/api-keys", {})
    search = await made("/v1/saved-searches", {"name": "s", "query": "documents"})
    hold = await made("/v1/holds", {"target_id": "d_1", "reason": "case 1"})
    await made("/v1/event-types:upsert", {"event_types": [{"action": "document.delete"}]})
    export = await made("/v1/exports", {})
    invitation = await made("/v1/invitations", {"email": "grace@example.com", "role": "member"})
    victim = await gateway.world.new_user()
    operation_id = export["name"].removeprefix("operations/")
    return {
        "event_id": (await made("/v1/events", event))["receipt"]["event_id"],
        "organisation_id": user.organisation_id,
        "service_account_id": account_id,
        "api_key_id": key["api_key"]["id"],
        "search_id": search["search"]["id"],
        "hold_id": hold["hold"]["id"],
        "action": "document.delete",
        "operation_id": operation_id,
        "export_id": operation_id,
        "invitation_id": invitation["invitation"]["id"],
        "user_id": victim.id,
    }


@dataclass(frozen=True)
class Cast:
    """Who calls."""

    gateway: Gateway
    owner: User
    administrator: User
    known: dict[str, str]

    async def fuzzing(self, who, *, examples, seed, only=(), in_turn=False):
        """Every operation is tried by somebody; None has no token."""
        caller = who and Caller(self.gateway.url, who.email, PASSWORD, who.access_token)
        asked = Fuzzing(
            self.gateway.url, caller, self.known, examples, seed, frozenset(only), in_turn=in_turn
        )
        return await asked.run()


async def cast_of(gateway):
    world = gateway.world
    owner = await world.new_user()
    return Cast(gateway, owner, await new_administrator(world), await things(gateway, owner))


@pytest.fixture(scope="module")
async def cast(gateway):
    return await cast_of(gateway)


async def test_what_callers_are_answered_is_described(cast):
    """Each operation once, half of them as the description allows it, and half as it does not."""
    done = await asyncio.gather(
        cast.fuzzing(cast.owner, examples=1, seed=1, in_turn=True),
        cast.fuzzing(cast.administrator, examples=1, seed=2, only=ADMINISTRATION),
    )
    assert [found for each in done for found in each.found] == []
    assert sum(each.statuses.total() for each in done) > 100
    assert len(done[0].answered) > 25


@pytest.mark.soak
async def test_ten_thousand_requests_are_answered_as_described(cluster):
    """The gateway limits nobody here: what is too much would be refused, and tell nothing."""
    async with (
        running_world(cluster.new_database()) as world,
        running_gateway(world, rate_limits=RateLimits(0, 0)) as gateway,
    ):
        one, other = await cast_of(gateway), await cast_of(gateway)
        every = operation_ids()
        done = await asyncio.gather(
            one.fuzzing(one.owner, examples=45, seed=4, only=every[::2]),
            other.fuzzing(other.owner, examples=45, seed=5, only=every[1::2]),
            one.fuzzing(one.administrator, examples=45, seed=6, only=ADMINISTRATION),
            one.fuzzing(None, examples=10, seed=7, only=every),
        )
    statuses = sum((each.statuses for each in done), Counter())
    succeeded = set().union(*(each.answered for each in done))
    print(f"{statuses.total()} requests: {sorted(statuses.items())}")
    print(f"{len(succeeded)} of {len(every)} operations have succeeded")
    assert [found for each in done for found in each.found] == []
    assert statuses.total() >= 10_000
