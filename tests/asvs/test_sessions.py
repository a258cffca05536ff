"""ASVS V7: sessions, from the login to the end."""

import re

from smart_audit.api.auth.v1 import account_pb2, admin_pb2, auth_pb2, factors_pb2, sessions_pb2
from tests.asvs.acting import (
    NEW_PASSWORD,
    an_hour_later,
    change,
    ended_everywhere,
    me,
    refresh,
)
from tests.asvs.requirements import proves
from tests.support.mails import account_of
from tests.support.tokens import bearer
from tests.support.world import PASSWORD, ended_within, refusal

SPAN = "UPDATE auth.{} SET {} = now() - interval '1 second' WHERE {} = %s"


@proves("7.2.3", "refresh tokens have 256 random bits; the database knows their hashes alone")
async def test_a_refresh_token_is_long_unique_and_not_stored(world, person):
    again = await world.login(person.email)
    tokens = {person.refresh_token, again.refresh_token}
    assert len(tokens) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    stored = b"".join(
        bytes(row[0])
        for row in world.database.execute("SELECT token_hash FROM auth.refresh_tokens")
    )
    assert not any(token.encode() in stored for token in tokens)


@proves("7.2.4", "each login opens a session of its own; reauthentication replaces both tokens")
async def test_each_authentication_makes_new_tokens_and_ends_the_old(world, person):
    session, other = await world.login(person.email), await world.login(person.email)
    assert session.session_id != other.session_id
    renewed = await world.auth.Reauthenticate(
        auth_pb2.ReauthenticateRequest(password=PASSWORD), metadata=session.metadata
    )
    assert (await me(world, renewed.access_token)).session_id == session.session_id
    await ended_within(lambda: me(world, session.access_token))
    assert (await refusal(refresh(world, session.refresh_token))).reason == "TOKEN_INVALID"


@proves("7.3.1", "a session that is unused for 14 days (`AUTH_REFRESH_TOKEN_LIFETIME`) is over")
async def test_an_idle_session_ends(world, person):
    session = await world.login(person.email)
    world.database.execute(
        SPAN.format("refresh_tokens", "expires_at", "session_id"), session.session_id
    )
    assert (await refusal(refresh(world, session.refresh_token))).reason == "TOKEN_EXPIRED"


@proves("7.3.2", "a session is over after 30 days (`AUTH_SESSION_LIFETIME`), used or not")
async def test_a_session_has_a_greatest_age(world, person):
    session = await world.login(person.email)
    world.database.execute(SPAN.format("sessions", "expires_at", "id"), session.session_id)
    assert (await refusal(refresh(world, session.refresh_token))).reason == "SESSION_ENDED"


@proves("7.4.1", "after a logout no token of the session is taken, at any service, within a second")
async def test_a_session_that_was_ended_is_refused_everywhere(world, person):
    session = await world.login(person.email)
    await world.auth.Logout(auth_pb2.LogoutRequest(), metadata=session.metadata)
    await ended_everywhere(world, session)


@proves("7.4.2", "deactivating a user ends all sessions and refuses all tokens; so does deletion")
async def test_a_user_who_is_deactivated_has_no_session_left(console):
    user = await console.world.new_user()
    second = await console.world.login(user.email)
    await console.DeactivateUser(admin_pb2.DeactivateUserRequest(user_id=user.id))
    await ended_everywhere(console.world, user, second)


@proves("7.4.3", "`end_other_sessions` at each change of a password or factor; a reset ends all")
async def test_a_change_of_the_password_ends_the_other_sessions_if_asked(world):
    user = await world.new_user()
    other = await world.login(user.email)
    answer = await change(world, user, PASSWORD, NEW_PASSWORD, end_other_sessions=True)
    assert answer.ended_sessions == 1
    await ended_everywhere(world, other)
    assert (await me(world, user.access_token)).user.id == user.id
    for request in (factors_pb2.ConfirmTotpRequest, factors_pb2.RemoveTotpRequest):
        assert "end_other_sessions" in request.DESCRIPTOR.fields_by_name


@proves("7.4.5", "`EndUserSessions`: one session of a user, or all; deactivation ends all for good")
async def test_an_administrator_ends_the_sessions_of_a_user(console, person):
    session = await console.world.login(person.email)
    await console.EndUserSessions(
        admin_pb2.EndUserSessionsRequest(user_id=person.id, session_id=session.session_id)
    )
    await ended_everywhere(console.world, session)
    assert (await me(console.world, person.access_token)).user.id == person.id


@proves("7.5.1", "a new address, factor or passkey needs an authentication in the last 10 minutes")
async def test_a_change_of_how_one_logs_in_needs_a_recent_authentication(world, person):
    metadata = bearer(await an_hour_later(world, await world.login(person.email)))
    address = account_pb2.ChangeEmailRequest(new_email="ada@example.org")
    for call in (
        account_of(world).ChangeEmail(address, metadata=metadata),
        world.factors.EnrolTotp(factors_pb2.EnrolTotpRequest(), metadata=metadata),
        world.factors.RemoveTotp(factors_pb2.RemoveTotpRequest(), metadata=metadata),
    ):
        assert (await refusal(call)).reason == "REAUTHENTICATION_REQUIRED"


@proves("7.5.2", "`ListSessions`, `RevokeSession`, `RevokeOtherSessions`; see what is open")
async def test_a_person_sees_the_own_sessions_and_ends_them(world, person):
    mine, lost = await world.login(person.email), await world.login(person.email)
    listed = await world.sessions.ListSessions(
        sessions_pb2.ListSessionsRequest(), metadata=mine.metadata
    )
    seen = {session.id: session.current for session in listed.sessions}
    assert (seen[mine.session_id], seen[lost.session_id]) == (True, False)
    await world.sessions.RevokeSession(
        sessions_pb2.RevokeSessionRequest(session_id=lost.session_id), metadata=mine.metadata
    )
    await ended_everywhere(world, lost)
