"""What administrators of the installation see, and who else does not, at the wire."""

from uuid import uuid4

import grpc
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import admin_pb2
from tests.support.administrators import (
    CALLS,
    INSTALLATION_ID,
    REASON,
    Console,
    as_administrator,
    call_about,
    told,
)
from tests.support.events import event, record, settled
from tests.support.world import refusal


async def named(world, **names):
    """A user with a name of its own."""
    user = await world.new_user()
    for column, name in names.items():
        world.database.execute(f"UPDATE auth.users SET {column} = %s WHERE id = %s", name, user.id)
    return user


async def listed(console, **narrow):
    answer = await console.ListUsers(admin_pb2.ListUsersRequest(**narrow))
    return [user.id for user in answer.users], answer.next_page_token


async def test_users_are_found_by_a_part_of_the_address_or_of_the_name(console):
    surname = f"Byron{uuid4().hex[:8]}"
    user = await named(console.world, last_name=surname)
    for search in (surname.upper(), f"ada {surname}", user.email[4:20], user.email.upper()):
        assert await listed(console, search=search) == ([user.id], "")
    assert await listed(console, search=f"%{surname[1:]}") == ([], "")


async def test_users_come_in_pages_the_latest_first(console):
    mark = uuid4().hex[:12]
    users = [await named(console.world, last_name=mark) for _ in range(3)]
    found, token = await listed(console, search=mark, page_size=2)
    rest, end = await listed(console, search=mark, page_size=2, page_token=token)
    assert found + rest == [user.id for user in reversed(users)]
    assert end == ""
    for narrow in ({"search": "another"}, {"search": mark, "page_token": "no token"}):
        request = admin_pb2.ListUsersRequest(**{"page_token": token, **narrow})
        assert (await refusal(console.ListUsers(request))).reason == "PAGE_TOKEN_INVALID"


async def test_deactivated_users_can_be_listed_apart(console):
    mark = uuid4().hex[:12]
    kept_out, active = [await named(console.world, last_name=mark) for _ in range(2)]
    await console.DeactivateUser(admin_pb2.DeactivateUserRequest(user_id=kept_out.id))
    for state, ids in (
        (admin_pb2.USER_STATE_DEACTIVATED, [kept_out.id]),
        (admin_pb2.USER_STATE_ACTIVE, [active.id]),
        (admin_pb2.USER_STATE_UNSPECIFIED, [active.id, kept_out.id]),
    ):
        assert (await listed(console, search=mark, state=state))[0] == ids


async def test_a_user_is_shown_whole_and_without_anything_secret(console):
    world = console.world
    user = await world.new_user()
    world.database.execute(
        "INSERT INTO auth.totp_secrets (user_id, sealed_secret, created_at, confirmed_at)"
        " VALUES (%s, 'sealed', now(), now())",
        user.id,
    )
    world.database.execute(
        "INSERT INTO auth.recovery_codes (code_hash, user_id, created_at, used_at)"
        " SELECT sha256(n::text::bytea || %s::bytea), %s, now(), CASE WHEN n > 8 THEN now() END"
        " FROM generate_series(1, 10) n",
        user.id,
        user.id,
    )
    world.database.execute(
        "INSERT INTO auth.passkeys (credential_id, id, user_id, name, public_key, sign_count,"
        " backed_up, created_at) VALUES (%s, gen_random_uuid(), %s, 'Key ring', 'public', 0,"
        " false, now())",
        user.id.encode(),
        user.id,
    )
    whole = await console.GetUser(admin_pb2.GetUserRequest(user_id=user.id))
    assert (whole.user.id, whole.user.email) == (user.id, user.email)
    assert whole.user.state == admin_pb2.USER_STATE_ACTIVE
    (joined,) = whole.memberships
    assert (joined.organisation_id, joined.role) == (user.organisation_id, "owner")
    assert whole.totp_confirmed_at.seconds
    assert [(one.name, one.backed_up) for one in whole.passkeys] == [("Key ring", False)]
    assert whole.recovery_codes_left == 8
    assert [session.id for session in whole.sessions] == [user.session_id]
    assert not whole.sessions[0].current
    assert "argon2" not in str(whole)


async def events_of(console, user, **narrow):
    answer = await console.ListUserEvents(
        admin_pb2.ListUserEventsRequest(user_id=user.id, **narrow)
    )
    return answer.events, answer.next_page_token


async def test_a_users_auth_events_are_listed_and_nothing_of_a_product(console):
    world = console.world
    user = await world.signed_up()
    await settled(world, user)
    actor = audit_pb2.Actor(id=user.id)
    await record(world, user, event(actor=actor, action="document.delete"))
    events, token = await events_of(console, user)
    assert ([one.action for one in events], token) == (["auth.login", "auth.signup"], "")
    events, token = await events_of(console, user, page_size=1)
    # The product's event took the first page, and was left out.
    assert [one.action for one in events] == ["auth.login"]
    events, token = await events_of(console, user, page_size=1, page_token=token)
    assert [one.action for one in events] == ["auth.signup"]


async def test_what_was_done_to_a_user_is_listed_and_the_reading_is_recorded(console):
    user = await console.world.new_user()
    await console.DeactivateUser(admin_pb2.DeactivateUserRequest(user_id=user.id))
    await told(console, "user.deactivate", user.id)
    events, _ = await events_of(console, user, organisation_id=INSTALLATION_ID, done_to=True)
    assert "user.deactivate" in [one.action for one in events]
    read = await told(console, "user.events.read", user.id)
    assert {target.type: target.id for target in read.targets} == {
        "user": user.id,
        "organisation": INSTALLATION_ID,
    }


async def test_no_log_is_read_that_the_user_has_nothing_to_do_with(console):
    user, stranger = await console.world.new_user(), await console.world.new_user()
    request = admin_pb2.ListUserEventsRequest(
        user_id=user.id, organisation_id=stranger.organisation_id
    )
    refused = await refusal(console.ListUserEvents(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


async def test_the_owner_of_another_organisation_may_do_none_of_it(console):
    owner = await console.world.new_user()
    for method in CALLS:
        call = getattr(Console(console.world, console.stub, owner), method)
        refused = await refusal(call(call_about(method, console.user.id)))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "SCOPE_MISSING",
        )


@pytest.mark.parametrize("method", sorted(set(CALLS) - {"ListUsers"}))
async def test_a_user_who_is_not_there_is_not_found(console, method):
    refused = await refusal(getattr(console, method)(call_about(method, str(uuid4()))))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_FOUND")


async def test_an_auditor_of_the_installation_reads_its_log_and_no_users(console):
    world = console.world
    auditor = await world.new_user()
    world.database.execute(
        "INSERT INTO auth.memberships (organisation_id, user_id, role, created_at)"
        " VALUES (%s, %s, 'auditor', now())",
        INSTALLATION_ID,
        auditor.id,
    )
    auditor = await as_administrator(world, auditor)
    listing = Console(world, console.stub, auditor).ListUsers(admin_pb2.ListUsersRequest())
    assert (await refusal(listing)).reason == "SCOPE_MISSING"
    request = audit_pb2.ListEventsRequest(page_size=1)
    assert (await world.events.ListEvents(request, metadata=auditor.metadata)).events


async def test_a_console_works_by_json(console, gateway):
    user = await console.world.new_user()
    headers = {"authorization": f"Bearer {console.user.access_token}"}
    found = await gateway.http.get("/v1/users", params={"search": user.email}, headers=headers)
    assert [one["id"] for one in found.json()["users"]] == [user.id]
    path = f"/v1/users/{user.id}"
    done = await gateway.http.post(f"{path}:deactivate", json={}, headers=headers)
    assert (done.status_code, done.json()["user"]["state"]) == (200, "USER_STATE_DEACTIVATED")
    request = {"reason": REASON}
    refused = await gateway.http.post(f"{path}:impersonate", json=request, headers=headers)
    assert refused.status_code == 400
    assert "USER_DEACTIVATED" in refused.text
