"""Access and refresh tokens: what they say, what refuses them, how they rotate."""

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2
from smart_audit.auth.domain import INSTALLATION
from smart_audit.core.ids import new_id
from smart_audit.core.revocations import Revocations
from smart_audit.core.tokens import KeyCache, TokenInvalid, TokenVerifier
from tests.support.tokens import bearer, forged, signing_key
from tests.support.world import ISSUER, read_refusal, refusal, running_world


async def me(world, token):
    return await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=bearer(token))


async def test_an_access_token_says_who_for_which_organisation_and_how_long(world):
    user = await world.new_user()
    header = jwt.get_unverified_header(user.access_token)
    claims = jwt.decode(user.access_token, options={"verify_signature": False})
    assert (header["alg"], header["typ"]) == ("EdDSA", "at+jwt")
    assert claims["iss"] == ISSUER
    assert claims["aud"] == "smart-audit"
    assert (claims["sub"], claims["org"], claims["sid"]) == (
        user.id,
        user.organisation_id,
        user.session_id,
    )
    assert claims["exp"] - claims["iat"] == 30 * 60
    assert "events.record_any" not in claims["scope"]


async def test_the_published_keys_verify_tokens_and_hold_nothing_secret(world):
    user = await world.new_user()
    keys = (await world.auth.GetJwks(auth_pb2.GetJwksRequest())).keys
    (key,) = [one for one in keys if one.kid == jwt.get_unverified_header(user.access_token)["kid"]]
    fields = {field.name: getattr(key, field.name) for field in key.DESCRIPTOR.fields}
    assert set(fields) == {"kty", "crv", "x", "kid", "use", "alg"}
    verified = jwt.decode(
        user.access_token,
        jwt.PyJWK(fields).key,
        algorithms=["EdDSA"],
        audience="smart-audit",
        issuer=ISSUER,
    )
    assert verified["sub"] == user.id


async def test_a_signing_key_is_sealed_in_the_database(world):
    _, key = signing_key(world)
    with world.database.connect() as connection:
        (sealed,) = connection.execute(
            "SELECT sealed_private_key FROM auth.signing_keys"
        ).fetchone()
    assert key.private_bytes_raw() not in sealed


async def test_a_call_without_a_token_is_refused(world):
    refused = await refusal(world.auth.GetMe(auth_pb2.GetMeRequest()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    refused = await refusal(world.events.ListEvents(audit_pb2.ListEventsRequest()))
    assert (refused.code, refused.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


async def test_a_user_may_not_do_what_its_scopes_lack(world):
    user = await world.new_user()
    token = forged(world, user, scope="events.record")
    refused = await refusal(
        world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=bearer(token))
    )
    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
    assert refused.metadata == {"scope": "events.read"}


async def refresh(world, token):
    return await world.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=token))


async def refused_refresh(world, token):
    request = auth_pb2.RefreshTokenRequest(refresh_token=token)
    return (await refusal(world.auth.RefreshToken(request))).reason


async def test_a_refresh_rotates_both_tokens(world):
    user = await world.new_user()
    answer = await refresh(world, user.refresh_token)
    assert answer.refresh_token != user.refresh_token
    assert answer.access_token != user.access_token
    assert (answer.token_type, answer.expires_in) == ("bearer", 1800)
    assert (await me(world, answer.access_token)).session_id == user.session_id
    assert (await refresh(world, answer.refresh_token)).access_token


async def test_refreshes_that_race_get_the_same_successor(world):
    user = await world.new_user()
    answers = await asyncio.gather(*(refresh(world, user.refresh_token) for _ in range(5)))
    (successor,) = {answer.refresh_token for answer in answers}
    assert (await refresh(world, successor)).access_token


def age(world, user, by):
    """Make all that a session has happened earlier by `by`."""
    with world.database.connect() as connection:
        connection.execute(
            "UPDATE auth.refresh_tokens SET rotated_at = rotated_at - %s, expires_at = expires_at"
            " - %s WHERE session_id = %s",
            [by, by, user.session_id],
        )


async def test_a_reuse_after_the_grace_ends_the_session(world):
    user = await world.new_user()
    answer = await refresh(world, user.refresh_token)
    age(world, user, timedelta(seconds=11))
    assert await refused_refresh(world, user.refresh_token) == "TOKEN_REUSED"
    assert await refused_refresh(world, answer.refresh_token) == "SESSION_ENDED"
    ended = world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=bearer(answer.access_token))
    assert (await refusal(ended)).reason == "SESSION_ENDED"


async def test_a_refresh_token_expires(world):
    user = await world.new_user()
    age(world, user, timedelta(days=15))
    assert await refused_refresh(world, user.refresh_token) == "TOKEN_EXPIRED"


async def test_an_unknown_refresh_token_is_refused(world):
    assert await refused_refresh(world, "no token of ours") == "TOKEN_INVALID"


async def test_no_refresh_token_is_stored(world):
    user = await world.new_user()
    with world.database.connect() as connection:
        rows = connection.execute("SELECT * FROM auth.refresh_tokens").fetchall()
    assert user.refresh_token.encode() not in b"".join(bytes(row[0]) for row in rows)


async def test_a_logout_ends_the_session(world):
    user = await world.new_user()
    answer = await world.auth.Logout(auth_pb2.LogoutRequest(), metadata=user.metadata)
    assert answer.message == "Logged out"
    ended = world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=user.metadata)
    assert (await refusal(ended)).reason == "SESSION_ENDED"
    assert await refused_refresh(world, user.refresh_token) == "SESSION_ENDED"


async def test_a_logout_leaves_other_sessions_alone(world):
    first = await world.new_user()
    second = await world.login(first.email)
    await world.auth.Logout(auth_pb2.LogoutRequest(), metadata=first.metadata)
    assert (await me(world, second.access_token)).session_id == second.session_id


async def test_a_token_that_was_good_is_refused_once_it_expires(cluster):
    # The leeway is five seconds: it is good for two, or for three.
    lifetime = {"access_token_lifetime": timedelta(seconds=-2)}
    async with running_world(cluster.new_database(), auth=lifetime) as world:
        user = await world.new_user()
        assert (await me(world, user.access_token)).user.id == user.id
        for _ in range(100):
            await asyncio.sleep(0.1)
            try:
                await me(world, user.access_token)
            except grpc.aio.AioRpcError as error:
                assert read_refusal(error).reason == "TOKEN_EXPIRED"  # noqa: PT017
                return
    raise AssertionError("the token lived on")


async def test_a_token_that_was_good_is_refused_once_its_key_is_gone():
    key = Ed25519PrivateKey.generate()
    published = {"k": key.public_key()}

    async def fetch():
        return dict(published)

    cache = KeyCache(fetch, fresh_for_s=0, refetch_after_s=0)
    revocations = Revocations(deaf_after_s=60)
    revocations.hear()
    verifier = TokenVerifier(cache, revocations, issuer=ISSUER)
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER, "aud": "smart-audit", "sub": "s", "scope": "", "jti": str(new_id()),
        "iat": now, "org": str(INSTALLATION), "exp": now + timedelta(minutes=1),
    }  # fmt: skip
    headers = {"kid": "k", "typ": "at+jwt"}
    token = jwt.encode(claims, key, algorithm="EdDSA", headers=headers)
    for _ in range(2):
        assert (await verifier.verify(token)).subject == "s"
    published["k"] = Ed25519PrivateKey.generate().public_key()
    await refused_soon(verifier, token)
    del published["k"]
    await refused_soon(verifier, token)


async def refused_soon(verifier, token):
    """The keys are read anew beside a call, so the first one may still see the old key."""
    for _ in range(10):
        try:
            await asyncio.gather(*(verifier.verify(token) for _ in range(3)))
        except TokenInvalid:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the token was good for ever")


async def test_a_slow_source_of_keys_does_not_slow_known_keys_down():
    key = Ed25519PrivateKey.generate().public_key()
    slow = asyncio.Event()
    asked = []

    async def fetch():
        asked.append(1)
        if len(asked) > 1:
            await slow.wait()
        return {"k": key}

    cache = KeyCache(fetch, fresh_for_s=0, refetch_after_s=0)
    assert await cache.get("k") == key
    for _ in range(5):
        assert await asyncio.wait_for(cache.get("k"), 0.5) == key
        await asyncio.sleep(0)
    assert len(asked) == 2
    slow.set()


async def test_tokens_are_issued_while_all_connections_wait_for_them(cluster, monkeypatch):
    # Refreshes hold a connection while their token is signed; reading the keys takes another.
    monkeypatch.setattr("smart_audit.auth.key_rotation.CHECK_EVERY", timedelta(milliseconds=1))
    small = {"database_pool_size": 2}
    async with running_world(cluster.new_database(), auth=small) as world:
        users = [await world.new_user() for _ in range(3)]
        exchanges = [refresh(world, user.refresh_token) for user in users for _ in range(6)]
        answers = await asyncio.wait_for(asyncio.gather(*exchanges), 15)
    assert len({answer.refresh_token for answer in answers}) == 3


async def test_known_keys_serve_while_their_source_is_away_but_not_for_ever():
    key = Ed25519PrivateKey.generate().public_key()
    answers = [{"k": key}]

    async def fetch():
        return answers.pop()

    cache = KeyCache(fetch, fresh_for_s=0, stale_for_s=0.2, refetch_after_s=0)
    assert await cache.get("k") == key
    assert await cache.get("k") == key
    await asyncio.sleep(0.25)
    assert await cache.get("k") is None


async def test_unknown_key_ids_do_not_hammer_the_source():
    asked = []

    async def fetch():
        asked.append(1)
        return {}

    cache = KeyCache(fetch, refetch_after_s=60)
    for number in range(50):
        assert await cache.get(f"unknown-{number}") is None
    assert len(asked) == 1
