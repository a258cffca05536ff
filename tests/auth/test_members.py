"""Members, their roles, and the invariants of an organisation."""

import asyncio
from contextlib import contextmanager
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import account_pb2, auth_pb2
from smart_audit.api.auth.v1 import organisations_pb2 as pb2
from smart_audit.auth.members import may_manage
from smart_audit.auth.roles import PERMISSIONS
from smart_audit.core.revocations import member_key
from tests.support.company import (
    joined,
    new_company,
    refreshed,
    refused_within_a_second,
    scopes,
    switched,
)
from tests.support.mails import account_of
from tests.support.world import read_refusal, refusal

ROLES = ("owner", "admin", "auditor", "member")


def set_role(world, by, user, role):
    return world.organisations.UpdateMember(
        pb2.UpdateMemberRequest(user_id=user.id, role=role), metadata=by.metadata
    )


def remove(world, by, user):
    return world.organisations.RemoveMember(
        pb2.RemoveMemberRequest(user_id=user.id), metadata=by.metadata
    )


def leave(world, user):
    return world.organisations.LeaveOrganisation(
        pb2.LeaveOrganisationRequest(), metadata=user.metadata
    )


def transfer(world, by, user):
    return world.organisations.TransferOwnership(
        pb2.TransferOwnershipRequest(user_id=user.id), metadata=by.metadata
    )


async def members(world, user, **page):
    return await world.organisations.ListMembers(
        pb2.ListMembersRequest(**page), metadata=user.metadata
    )


async def roles(world, user):
    return {one.user_id: one.role for one in (await members(world, user)).members}


def read_events(world, user):
    return lambda: world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=user.metadata)


@pytest.fixture
async def company(world):
    return await new_company(world)


@pytest.mark.parametrize(("acting", "of", "to"), list(product(ROLES, ROLES, ROLES)))
def test_only_an_owner_makes_and_unmakes_owners_and_only_managers_change_roles(acting, of, to):
    manages = acting in ("owner", "admin")
    assert may_manage(acting, of, to) == (
        manages and ("owner" not in (of, to) or acting == "owner")
    )


async def test_members_come_in_pages_with_what_an_administrator_needs(world, company):
    first = await members(world, company.member, page_size=2)
    second = await members(world, company.member, page_size=2, page_token=first.next_page_token)
    listed = [*first.members, *second.members]
    assert [one.user_id for one in listed] == [
        company.owner.id,
        company.admin.id,
        company.member.id,
    ]
    assert [one.role for one in listed] == ["owner", "admin", "member"]
    assert listed[2].email == company.member.email
    assert listed[2].joined_at.seconds > 0
    assert not second.next_page_token


async def test_a_new_role_is_in_force_everywhere_within_a_second(world, company):
    answer = await set_role(world, company.owner, company.member, "admin")
    assert (answer.member.user_id, answer.member.role) == (company.member.id, "admin")

    async def listed():
        return await world.organisations.ListMembers(
            pb2.ListMembersRequest(), metadata=company.member.metadata
        )

    assert await refused_within_a_second(listed) == "SESSION_ENDED"
    assert await refused_within_a_second(read_events(world, company.member)) == "SESSION_ENDED"
    admin = await refreshed(world, company.member)
    assert scopes(admin) == scopes(company.admin)
    await set_role(world, company.owner, company.member, "auditor")
    assert await refused_within_a_second(read_events(world, admin)) == "SESSION_ENDED"
    assert scopes(await refreshed(world, admin)) == {"events.read", "log.read"}


@contextmanager
def slow_insert(world, table, condition):
    """Hold a transaction open for a while once it has put such a row into a table."""
    name = f"slow_{uuid4().hex}"
    with world.database.connect() as connection:
        connection.execute(
            f"CREATE FUNCTION auth.{name}() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END'"
        )
        connection.execute(
            f"CREATE TRIGGER {name} AFTER INSERT ON auth.{table} FOR EACH ROW"
            f" WHEN (NEW.{condition}) EXECUTE FUNCTION auth.{name}()"
        )
        try:
            yield
        finally:
            connection.execute(f"DROP FUNCTION auth.{name} CASCADE")


@pytest.mark.parametrize("way", ["refresh", "login", "switch"])
async def test_no_token_of_the_old_role_comes_out_of_a_race_with_the_change(world, way):
    owner = await world.new_user()
    other = await joined(world, owner, "owner")
    here = owner.organisation_id
    away = await world.login(other.email) if way == "switch" else owner
    raced, changed = (other, owner) if way == "switch" else (owner, other)
    key = member_key(raced.id, UUID(here)).hex()
    with slow_insert(world, "revocations", f"key = '\\x{key}'"):
        change = asyncio.ensure_future(set_role(world, changed, raced, "member"))
        await asyncio.sleep(0.1)
        assert not change.done()
        ways = {
            "refresh": lambda: refreshed(world, raced),
            "login": lambda: world.login(raced.email),
            "switch": lambda: switched(world, away, here),
        }
        answers = await asyncio.gather(ways[way](), change, return_exceptions=True)
    late: Any = answers[0]
    assert late.organisation_id == here
    assert scopes(late) == PERMISSIONS["member"]


async def test_an_admin_neither_makes_nor_unmakes_owners(world, company):
    for call in (
        set_role(world, company.admin, company.member, "owner"),
        set_role(world, company.admin, company.admin, "owner"),
        set_role(world, company.admin, company.owner, "member"),
        remove(world, company.admin, company.owner),
        world.organisations.EndMemberSessions(
            pb2.EndMemberSessionsRequest(user_id=company.owner.id),
            metadata=company.admin.metadata,
        ),
        world.organisations.CreateInvitation(
            pb2.CreateInvitationRequest(email=f"{uuid4().hex}@example.com", role="owner"),
            metadata=company.admin.metadata,
        ),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "OWNER_REQUIRED",
        )
    refused = await refusal(transfer(world, company.admin, company.member))
    assert refused.reason == "SCOPE_MISSING"
    assert await roles(world, company.admin) == {
        company.owner.id: "owner",
        company.admin.id: "admin",
        company.member.id: "member",
    }


@pytest.mark.parametrize("role", ["auditor", "member"])
async def test_who_does_not_manage_members_changes_nobody(world, company, role):
    user = await joined(world, company.owner, role)
    for call in (
        set_role(world, user, user, "admin"),
        set_role(world, user, company.member, "auditor"),
        remove(world, user, company.admin),
    ):
        assert (await refusal(call)).reason == "SCOPE_MISSING"


async def test_the_last_owner_can_be_neither_demoted_nor_removed_nor_leave(world, company):
    for call in (
        set_role(world, company.owner, company.owner, "admin"),
        remove(world, company.owner, company.owner),
        leave(world, company.owner),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "LAST_OWNER",
        )
    assert (await roles(world, company.owner))[company.owner.id] == "owner"


async def test_a_personal_organisation_keeps_its_owner(world):
    user = await world.new_user()
    assert (await refusal(leave(world, user))).reason == "LAST_OWNER"


@pytest.mark.parametrize("way", ["demote each other", "demote themselves", "leave", "remove"])
async def test_two_owners_who_go_at_the_same_time_leave_one(world, company, way):
    await set_role(world, company.owner, company.admin, "owner")
    one, two = company.owner, await refreshed(world, company.admin)
    calls = {
        "demote each other": lambda: (
            set_role(world, one, two, "member"),
            set_role(world, two, one, "member"),
        ),
        "demote themselves": lambda: (
            set_role(world, one, one, "member"),
            set_role(world, two, two, "member"),
        ),
        "leave": lambda: (leave(world, one), leave(world, two)),
        "remove": lambda: (remove(world, one, two), remove(world, two, one)),
    }[way]()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, Exception) for answer in answers) == 1
    left = await roles(world, company.member)
    assert list(left.values()).count("owner") == 1


async def test_an_owner_whose_account_is_being_deleted_counts_no_more(world, company):
    await set_role(world, company.owner, company.admin, "owner")
    leaving = await refreshed(world, company.admin)
    with slow_insert(world, "erasures", f"user_id = '{leaving.id}'"):
        request = account_pb2.DeleteMyAccountRequest(confirm_email=leaving.email)
        deletion = account_of(world).DeleteMyAccount(request, metadata=leaving.metadata)
        deleted = asyncio.ensure_future(deletion)
        await asyncio.sleep(0.1)
        assert not deleted.done()
        demoted = set_role(world, company.owner, company.owner, "member")
        answers = await asyncio.gather(deleted, demoted, return_exceptions=True)
    assert read_refusal(answers[1]).reason == "LAST_OWNER"


async def test_who_is_removed_from_everywhere_gets_a_personal_organisation_again(world, company):
    home = (await world.login(company.member.email)).organisation_id
    at_home = await switched(world, company.member, home)
    await joined(world, at_home, "owner", company.owner)
    await leave(world, at_home)
    only = await world.login(company.member.email)
    assert only.organisation_id == company.id
    await remove(world, company.admin, company.member)
    again = await world.login(company.member.email)
    assert again.organisation_id not in (home, company.id)
    assert "organisation.own" in scopes(again)


async def test_a_removed_member_is_out_at_once_and_keeps_the_personal_organisation(world, company):
    await remove(world, company.admin, company.member)
    assert await refused_within_a_second(read_events(world, company.member)) == "SESSION_ENDED"
    again = auth_pb2.RefreshTokenRequest(refresh_token=company.member.refresh_token)
    assert (await refusal(world.auth.RefreshToken(again))).reason == "SESSION_ENDED"
    assert company.member.id not in await roles(world, company.admin)
    user = await world.login(company.member.email)
    assert user.organisation_id != company.id
    refused = await refusal(
        world.organisations.SwitchOrganisation(
            pb2.SwitchOrganisationRequest(
                organisation_id=company.id, refresh_token=user.refresh_token
            ),
            metadata=user.metadata,
        )
    )
    assert refused.reason == "ORGANISATION_NOT_FOUND"


async def test_who_leaves_is_no_member_and_has_no_session_there(world, company):
    await leave(world, company.member)
    assert await refused_within_a_second(read_events(world, company.member)) == "SESSION_ENDED"
    assert company.member.id not in await roles(world, company.owner)


async def test_an_ownership_that_is_transferred_leaves_an_admin_behind(world, company):
    answer = await transfer(world, company.owner, company.member)
    assert (answer.owner.user_id, answer.owner.role) == (company.member.id, "owner")
    assert await roles(world, company.admin) == {
        company.owner.id: "admin",
        company.admin.id: "admin",
        company.member.id: "owner",
    }
    assert await refused_within_a_second(read_events(world, company.owner)) == "SESSION_ENDED"
    assert "organisation.own" not in scopes(await refreshed(world, company.owner))
    assert "organisation.own" in scopes(await refreshed(world, company.member))


async def test_an_ownership_that_is_transferred_to_oneself_stays(world, company):
    answer = await transfer(world, company.owner, company.owner)
    assert answer.owner.role == "owner"
    assert (await roles(world, company.owner))[company.owner.id] == "owner"


async def test_an_administrator_ends_a_members_sessions_in_this_organisation_alone(world, company):
    elsewhere = await world.login(company.member.email)
    answer = await world.organisations.EndMemberSessions(
        pb2.EndMemberSessionsRequest(user_id=company.member.id), metadata=company.admin.metadata
    )
    assert answer.ended == 1
    assert await refused_within_a_second(read_events(world, company.member)) == "SESSION_ENDED"
    assert await read_events(world, elsewhere)()
    assert (await roles(world, company.admin))[company.member.id] == "member"


async def test_a_stranger_and_nobody_are_both_no_member(world, company):
    stranger = await world.new_user()
    for call in ("UpdateMember", "RemoveMember", "TransferOwnership", "EndMemberSessions"):
        request = getattr(pb2, f"{call}Request")
        more = {"role": "member"} if call == "UpdateMember" else {}
        found = []
        for user_id in (stranger.id, str(uuid4())):
            refused = await refusal(
                getattr(world.organisations, call)(
                    request(user_id=user_id, **more), metadata=company.owner.metadata
                )
            )
            assert refused.metadata.pop("user_id") == user_id
            found.append(refused)
        assert found[0] == found[1]
        assert found[0].reason == "MEMBER_NOT_FOUND"
