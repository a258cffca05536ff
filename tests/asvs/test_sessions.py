"""ASVS V7: sessions, from the login to the end."""

import re

from smart_audit.api.auth.v1 import auth_pb2
from tests.asvs.acting import execute, refresh, refused_everywhere
from tests.asvs.requirements import proves
from tests.support.governance import until
from tests.support.world import refusal

SPAN = "UPDATE auth.{} SET {} = now() - interval '1 second' WHERE {} = %s"


@proves("7.2.3", "refresh tokens have 256 random bits; the database knows their hashes alone")
async def test_a_refresh_token_is_long_unique_and_not_stored(world, person):
    again = await world.login(person.email)
    tokens = {person.refresh_token, again.refresh_token}
    assert len(tokens) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    stored = b"".join(
        bytes(row[0]) for row in execute(world, "SELECT token_hash FROM auth.refresh_tokens")
    )
    assert not any(token.encode() in stored for token in tokens)


@proves("7.3.1", "a session that is unused for 14 days (`AUTH_REFRESH_TOKEN_LIFETIME`) is over")
async def test_an_idle_session_ends(world, person):
    session = await world.login(person.email)
    execute(world, SPAN.format("refresh_tokens", "expires_at", "session_id"), session.session_id)
    assert (await refusal(refresh(world, session.refresh_token))).reason == "TOKEN_EXPIRED"


@proves("7.3.2", "a session is over after 30 days (`AUTH_SESSION_LIFETIME`), used or not")
async def test_a_session_has_a_greatest_age(world, person):
    session = await world.login(person.email)
    execute(world, SPAN.format("sessions", "expires_at", "id"), session.session_id)
    assert (await refusal(refresh(world, session.refresh_token))).reason == "SESSION_ENDED"


@proves("7.4.1", "a logout spends the refresh token and refuses its access tokens at every service")
async def test_a_session_that_was_ended_is_refused_everywhere(world, person):
    session = await world.login(person.email)
    await world.auth.Logout(auth_pb2.LogoutRequest(), metadata=session.metadata)
    assert (await refusal(refresh(world, session.refresh_token))).reason == "SESSION_ENDED"
    await refused_soon(world, session)


async def refused_soon(world, session):
    """Every service refuses the session's tokens within a second."""

    async def refused():
        try:
            return await refused_everywhere(world, session.access_token) == {"SESSION_ENDED"}
        except AssertionError:
            return False

    assert await until(refused, seconds=1)
