"""Organisations and the session that moves between them."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import admin_pb2, auth_pb2
from smart_audit.api.auth.v1 import organisations_pb2 as pb2
from tests.support.administrators import admin_stub, new_administrator
from tests.support.company import (
    claims,
    joined,
    new_company,
    refreshed,
    refused_within_a_second,
    scopes,
    switched,
    use_second_factor,
)
from tests.support.governance import until
from tests.support.world import refusal


async def create(world, user, name="Lovelace & Sons"):
    answer = await world.organisations.CreateOrganisation(
        pb2.CreateOrganisationRequest(name=name), metadata=user.metadata
    )
    return answer.organisation


async def update(world, user, **changes):
    answer = await world.organisations.UpdateOrganisation(
        pb2.UpdateOrganisationRequest(**changes), metadata=user.metadata
    )
    return answer.organisation


async def mine(world, user, **page):
    return await world.organisations.ListOrganisations(
        pb2.ListOrganisationsRequest(**page), metadata=user.metadata
    )


def switch(world, user, organisation_id, refresh_token=None):
    return world.organisations.SwitchOrganisation(
        pb2.SwitchOrganisationRequest(
            organisation_id=organisation_id, refresh_token=refresh_token or user.refresh_token
        ),
        metadata=user.metadata,
    )


@pytest.fixture
async def user(world):
    return await world.new_user()


async def test_who_creates_an_organisation_owns_it_and_stays_where_he_is(world, user):
    created = await create(world, user)
    assert created.sign_in_policy == "second_factor_optional"
    first, second = (await mine(world, user)).memberships
    assert (first.organisation.id, first.role, first.current) == (
        user.organisation_id,
        "owner",
        True,
    )
    assert (second.organisation, second.role, second.current) == (created, "owner", False)


async def test_my_organisations_come_in_pages(world, user):
    created = [(await create(world, user, f"No. {number}")).id for number in range(3)]
    first = await mine(world, user, page_size=2)
    second = await mine(world, user, page_size=2, page_token=first.next_page_token)
    listed = [one.organisation.id for one in [*first.memberships, *second.memberships]]
    assert listed == [user.organisation_id, *created]
    assert not second.next_page_token


async def test_what_is_no_page_token_is_refused(world, user):
    call = world.organisations.ListOrganisations(
        pb2.ListOrganisationsRequest(page_token="2"), metadata=user.metadata
    )
    assert "page_token" in (await refusal(call)).fields


async def test_a_switched_session_has_tokens_of_the_other_organisation_alone(world, user):
    created = await create(world, user)
    moved = await switched(world, user, created.id)
    assert claims(moved.access_token)["org"] == created.id
    assert claims(moved.access_token)["sid"] == user.session_id
    assert scopes(moved) == scopes(user)

    async def read():
        return await world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=user.metadata)

    async def me():
        return await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)

    assert await refused_within_a_second(read) == "SESSION_ENDED"
    assert await refused_within_a_second(me) == "SESSION_ENDED"
    later = await refreshed(world, moved)
    assert claims(later.access_token)["org"] == created.id
    answer = await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=later.metadata)
    assert answer.organisation.id == created.id


async def test_a_refresh_that_races_with_a_switch_gets_its_successor(world, user):
    created = await create(world, user)
    moved = await switched(world, user, created.id)
    raced = await refreshed(world, user)
    assert raced.refresh_token == moved.refresh_token
    assert claims(raced.access_token)["org"] == created.id


async def test_a_switch_by_a_token_that_was_spent_long_ago_ends_the_session(world, user):
    created = await create(world, user)
    later = await refreshed(world, user)
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval '1 minute'"
            " WHERE session_id = %s AND rotated_at IS NOT NULL",
            [user.session_id],
        )
    refused = await refusal(switch(world, later, created.id, user.refresh_token))
    assert refused.reason == "TOKEN_REUSED"
    again = auth_pb2.RefreshTokenRequest(refresh_token=later.refresh_token)
    assert (await refusal(world.auth.RefreshToken(again))).reason == "SESSION_ENDED"


async def test_a_switch_needs_the_sessions_own_refresh_token(world, user):
    other = await world.login(user.email)
    created = await create(world, user)
    refused = await refusal(switch(world, user, created.id, other.refresh_token))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    assert await refreshed(world, other)


async def test_a_foreign_organisation_and_none_are_both_not_found(world, user):
    other = await world.new_user()
    foreign, none = other.organisation_id, str(uuid4())
    first, second = [await refusal(switch(world, user, one)) for one in (foreign, none)]
    assert first.metadata.pop("organisation_id") == foreign
    assert second.metadata.pop("organisation_id") == none
    assert first == second
    assert first.reason == "ORGANISATION_NOT_FOUND"
    assert await refreshed(world, user)


async def test_an_update_changes_what_it_names_and_nothing_else(world, user):
    await update(world, user, login_codes=True)
    changed = await update(world, user, name="Analytical Engines")
    assert (changed.name, changed.login_codes) == ("Analytical Engines", True)
    answer = await world.organisations.GetOrganisation(
        pb2.GetOrganisationRequest(), metadata=user.metadata
    )
    assert answer.organisation == changed


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"name": ""}, "name"), ({"name": "a\x00b"}, "name"), ({"sign_in_policy": "none"}, None)],
)
async def test_a_bad_change_is_named(world, user, changes, field):
    call = world.organisations.UpdateOrganisation(
        pb2.UpdateOrganisationRequest(**changes), metadata=user.metadata
    )
    assert (field or "sign_in_policy") in (await refusal(call)).fields


async def test_nobody_requires_a_second_factor_without_having_used_one(world, user):
    call = world.organisations.UpdateOrganisation(
        pb2.UpdateOrganisationRequest(sign_in_policy="second_factor_required"),
        metadata=user.metadata,
    )
    refused = await refusal(call)
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "SECOND_FACTOR_UNUSED",
    )


async def test_where_a_second_factor_is_required_a_session_without_one_may_nothing(world):
    company = await new_company(world)
    use_second_factor(world, company.owner)
    owner = await refreshed(world, company.owner)
    await update(world, owner, sign_in_policy="second_factor_required")

    async def members():
        return await world.organisations.ListMembers(
            pb2.ListMembersRequest(), metadata=company.member.metadata
        )

    assert await refused_within_a_second(members) == "SESSION_ENDED"
    member, owner = [await refreshed(world, one) for one in (company.member, owner)]
    assert scopes(member) == set()
    assert "organisation.own" in scopes(owner)
    call = world.organisations.GetOrganisation(
        pb2.GetOrganisationRequest(), metadata=member.metadata
    )
    assert (await refusal(call)).reason == "SCOPE_MISSING"
    assert len((await mine(world, member)).memberships) == 2
    personal = (await mine(world, member)).memberships[1].organisation.id
    away = await switched(world, member, personal)
    assert "events.read" in scopes(away)
    back = await switched(world, away, company.id)
    assert scopes(back) == set()
    use_second_factor(world, back)
    assert "events.read" in scopes(await refreshed(world, back))


async def test_the_roles_answer_what_tokens_hold(world):
    company = await new_company(world)
    auditor = await joined(world, company.owner, "auditor")
    answer = await world.organisations.ListRoles(pb2.ListRolesRequest(), metadata=auditor.metadata)
    told = {one.role: set(one.permissions) for one in answer.roles}
    held = {
        "owner": scopes(company.owner),
        "admin": scopes(company.admin),
        "auditor": scopes(auditor),
        "member": scopes(company.member),
    }
    assert told == held
    assert held["auditor"] == {"events.read", "log.read"}
    assert held["owner"] - held["admin"] == {"organisation.own"}


async def test_who_acts_as_somebody_stays_in_one_organisation(world, user):
    created = await create(world, user)
    administrator = await new_administrator(world)
    request = admin_pb2.ImpersonateRequest(user_id=user.id, reason="the user has asked for help")
    impersonate = admin_stub(world.auth_channel).Impersonate
    answer = await impersonate(request, metadata=administrator.metadata)
    acting = replace(user, access_token=answer.access_token)
    assert (await refusal(switch(world, acting, created.id))).reason == "IMPERSONATION_FORBIDDEN"


async def test_what_is_done_to_an_organisation_stands_in_its_log(world, user):
    created = await create(world, user)
    there = await switched(world, user, created.id)
    await update(world, there, name="Engines")
    leave = world.organisations.LeaveOrganisation(
        pb2.LeaveOrganisationRequest(), metadata=there.metadata
    )
    await refusal(leave)
    told = {
        ("organisation.create", audit_pb2.OUTCOME_SUCCESS),
        ("organisation.switch", audit_pb2.OUTCOME_SUCCESS),
        ("organisation.update", audit_pb2.OUTCOME_SUCCESS),
        ("organisation.leave", audit_pb2.OUTCOME_DENIED),
    }

    async def all_came_in():
        answer = await world.events.ListEvents(
            audit_pb2.ListEventsRequest(actor_id=user.id), metadata=there.metadata
        )
        # That the log is read is an event, too.
        return {
            (one.action, one.outcome) for one in answer.events if one.source == "smart-audit.auth"
        } == told

    await until(all_came_in)


async def test_switches_at_the_same_time_leave_one_working_session(world, user):
    there = [(await create(world, user, f"No. {number}")).id for number in range(4)]
    calls = [switch(world, user, one) for one in there]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    # Whoever comes late is refused: the first switch has revoked the access token.
    (token,) = {one.refresh_token for one in answers if not isinstance(one, BaseException)}
    last = await refreshed(world, replace(user, refresh_token=token))
    assert last.organisation_id in there
    assert await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=last.metadata)
