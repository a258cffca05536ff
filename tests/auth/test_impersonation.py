"""Acting as another user: for a reason, for a while, and for all to see."""

from dataclasses import replace
from datetime import UTC, datetime

import grpc
import jwt
import pytest

from smart_audit.api.access.v1 import access_pb2
from smart_audit.api.audit.v1 import audit_pb2, governance_pb2
from smart_audit.api.auth.v1 import admin_pb2, auth_pb2, organisations_pb2, sessions_pb2
from smart_audit.audit import wiring as audit_wiring
from smart_audit.auth import wiring as auth_wiring
from tests.support.administrators import (
    INSTALLATION_ID,
    REASON,
    Console,
    new_administrator,
    refused_soon,
    told,
)
from tests.support.events import event, get, record
from tests.support.governance import until
from tests.support.mails import mail_to
from tests.support.world import refusal

MARKS = ("impersonator_id", "impersonation_reason")


async def impersonating(console, user, **changes):
    """(the answer, the user as the administrator who acts)."""
    request = admin_pb2.ImpersonateRequest(**{"user_id": user.id, "reason": REASON, **changes})
    answer = await console.Impersonate(request)
    return answer, replace(
        user,
        session_id=answer.session_id,
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
    )


def claims_of(user):
    return jwt.decode(user.access_token, options={"verify_signature": False})


def act_of(console):
    return {"sub": console.user.id, "org": INSTALLATION_ID, "reason": REASON}


def marks_of(message):
    known = dict(message.metadata)
    return tuple(known.get(mark) for mark in MARKS)


async def latest(world, user, action):
    request = audit_pb2.ListEventsRequest(action=action, page_size=1)

    async def found():
        answer = await world.events.ListEvents(request, metadata=user.metadata)
        return answer.events[0] if answer.events else None

    return await until(found)


@pytest.fixture
async def user(console):
    return await console.world.new_user()


async def test_the_token_says_who_acts_as_whom_and_ends_by_itself(console, user):
    answer, acting = await impersonating(console, user)
    claims = claims_of(acting)
    assert (claims["sub"], claims["org"]) == (user.id, user.organisation_id)
    assert claims["act"] == act_of(console)
    assert claims["exp"] - datetime.now(UTC).timestamp() == pytest.approx(15 * 60, abs=5)
    assert answer.refresh_expires_in == pytest.approx(15 * 60, abs=5)
    me = await console.world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=acting.metadata)
    assert me.user.id == user.id


async def test_no_token_outlives_the_box_and_a_refresh_keeps_the_mark(console, user):
    answer, acting = await impersonating(console, user, minutes=60)
    assert answer.expires_in == 1800
    assert answer.refresh_expires_in == pytest.approx(3600, abs=5)
    console.world.database.execute(
        "UPDATE auth.sessions SET expires_at = now() + interval '5 minutes' WHERE id = %s",
        acting.session_id,
    )
    renewed = await console.world.auth.RefreshToken(
        auth_pb2.RefreshTokenRequest(refresh_token=acting.refresh_token)
    )
    assert renewed.expires_in <= 300
    assert renewed.refresh_expires_in <= 300
    assert claims_of(renewed)["act"] == act_of(console)
    assert marks_of(await latest(console.world, user, "auth.refresh")) == (console.user.id, REASON)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"reason": "too short"}, "reason"), ({"reason": ""}, "reason"), ({"minutes": 61}, "minutes")],
)
async def test_it_needs_a_reason_and_an_end(console, user, changes, field):
    request = admin_pb2.ImpersonateRequest(**{"user_id": user.id, "reason": REASON, **changes})
    refused = await refusal(console.Impersonate(request))
    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


async def test_the_user_sees_it_and_ends_it(console, user):
    _, acting = await impersonating(console, user)
    sessions = console.world.sessions
    listed = await sessions.ListSessions(sessions_pb2.ListSessionsRequest(), metadata=user.metadata)
    (seen,) = [one for one in listed.sessions if one.id == acting.session_id]
    assert (seen.impersonator_id, seen.impersonation_reason) == (console.user.id, REASON)
    await sessions.RevokeSession(
        sessions_pb2.RevokeSessionRequest(session_id=seen.id), metadata=user.metadata
    )
    await refused_soon(console.world, acting)
    mail = await mail_to(console.world, user.email, "An administrator acted as you")
    assert REASON in mail.text
    assert "127.0.0.1" not in mail.text


async def test_both_logs_tell_of_it(console, user):
    await impersonating(console, user)
    for started in (
        await told(console, "user.impersonate", user.id),
        await latest(console.world, user, "auth.impersonation.start"),
    ):
        assert started.actor.id == console.user.id
        assert started.targets[0].id == user.id
        assert marks_of(started) == (console.user.id, REASON)


async def test_what_is_recorded_meanwhile_names_the_administrator(console, user):
    world = console.world
    _, acting = await impersonating(console, user)
    claimed = event(metadata={"impersonator_id": "nobody", "region": "eu"})
    receipt = await record(world, acting, claimed)
    recorded = (await get(world, user, receipt.event_id)).event
    assert recorded.recorded_by == user.id
    assert marks_of(recorded) == (console.user.id, REASON)
    assert recorded.metadata["region"] == "eu"
    own = await record(world, user, event())
    assert marks_of((await get(world, user, own.event_id)).event) == (None, None)


async def test_what_changes_a_log_meanwhile_names_the_administrator(console, user):
    world = console.world
    _, acting = await impersonating(console, user)
    await world.governance.PlaceHold(
        governance_pb2.PlaceHoldRequest(target_id="d_1", reason="case 7"), metadata=acting.metadata
    )
    placed = await latest(world, user, "log.hold.place")
    assert marks_of(placed) == (console.user.id, REASON)
    assert placed.metadata["reason"] == "case 7"


async def test_a_refusal_meanwhile_names_the_administrator(console, user):
    world = console.world
    _, acting = await impersonating(console, user)
    listing = Console(world, console.stub, acting).ListUsers(admin_pb2.ListUsersRequest())
    assert (await refusal(listing)).reason == "SCOPE_MISSING"
    denied = await latest(world, user, "user.read")
    assert (denied.actor.id, *marks_of(denied)) == (user.id, console.user.id, REASON)


def refused_to_impersonators():
    """The paths of the methods that are for people in their own name."""
    for service in (*auth_wiring.SERVICES, *audit_wiring.SERVICES):
        for method in service.methods:
            access = method.GetOptions().Extensions[access_pb2.access]
            if access.recent or access.own_name:
                yield f"/{service.full_name}/{method.name}"


async def test_nothing_sensitive_is_done_in_the_name_of_somebody_else(console, user):
    world = console.world
    _, acting = await impersonating(console, user)
    paths = list(refused_to_impersonators())
    assert len(paths) > 15
    for path in paths:
        channel = world.auth_channel if ".auth." in path else world.audit_channel
        refused = await refusal(channel.unary_unary(path)(b"", metadata=acting.metadata))
        wanted = "SCOPE_MISSING" if "UserAdminService" in path else "IMPERSONATION_FORBIDDEN"
        assert (path, refused.reason) == (path, wanted)


async def test_nobody_acts_as_an_administrator(console):
    other = await new_administrator(console.world)
    for administrator in (other, console.user):
        request = admin_pb2.ImpersonateRequest(user_id=administrator.id, reason=REASON)
        refused = await refusal(console.Impersonate(request))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "IMPERSONATION_FORBIDDEN",
        )


async def test_nobody_acts_as_a_user_who_is_kept_out(console, user):
    await console.DeactivateUser(admin_pb2.DeactivateUserRequest(user_id=user.id))
    request = admin_pb2.ImpersonateRequest(user_id=user.id, reason=REASON)
    assert (await refusal(console.Impersonate(request))).reason == "USER_DEACTIVATED"


async def test_it_needs_a_recent_authentication(console, user):
    console.world.database.execute(
        "UPDATE auth.sessions SET authenticated_at = now() - interval '11 minutes' WHERE id = %s",
        console.user.session_id,
    )
    renewed = await console.world.auth.RefreshToken(
        auth_pb2.RefreshTokenRequest(refresh_token=console.user.refresh_token)
    )
    late = replace(console.user, access_token=renewed.access_token)
    request = admin_pb2.ImpersonateRequest(user_id=user.id, reason=REASON)
    refused = await refusal(Console(console.world, console.stub, late).Impersonate(request))
    assert (refused.reason, refused.metadata["max_age_s"]) == ("REAUTHENTICATION_REQUIRED", "600")


@pytest.mark.parametrize("end", ["deactivated", "removed"])
async def test_it_ends_with_the_administrator(console, user, end):
    world = console.world
    other = await new_administrator(world)
    _, acting = await impersonating(Console(world, console.stub, other), user)
    if end == "deactivated":
        await console.DeactivateUser(admin_pb2.DeactivateUserRequest(user_id=other.id))
    else:
        await world.organisations.RemoveMember(
            organisations_pb2.RemoveMemberRequest(user_id=other.id), metadata=console.user.metadata
        )
    await refused_soon(world, acting)
    renewed = world.auth.RefreshToken(
        auth_pb2.RefreshTokenRequest(refresh_token=acting.refresh_token)
    )
    assert (await refusal(renewed)).reason == "SESSION_ENDED"
    assert (await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)).user.id


async def test_the_administrator_ends_it(console, user):
    world = console.world
    _, acting = await impersonating(console, user)
    end = admin_pb2.EndImpersonationRequest()
    assert (await refusal(console.EndImpersonation(end))).reason == "NOT_IMPERSONATING"
    await Console(world, console.stub, acting).EndImpersonation(end)
    await refused_soon(world, acting)
    ended = await latest(world, user, "auth.impersonation.end")
    assert (ended.actor.id, *marks_of(ended)) == (user.id, console.user.id, REASON)
    assert (await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)).user.id
