"""ASVS V9, self-contained tokens, and what of V10, OAuth, applies: at both services."""

import base64
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.asvs.acting import execute, forged, me, refresh, refused_everywhere, signing_key
from tests.asvs.requirements import proves
from tests.support.world import refusal

INVALID = {"TOKEN_INVALID"}


@proves("9.1.2", "EdDSA alone; `none`, and HS256 with the public key as secret, are refused")
async def test_no_algorithm_but_eddsa_is_accepted(world, person):
    key_id, key = signing_key(world)
    claims = jwt.decode(person.access_token, options={"verify_signature": False})
    headers = {"kid": key_id, "typ": "at+jwt"}
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    for algorithm, secret in (("none", ""), ("HS256", public)):
        token = jwt.encode(claims, secret, algorithm=algorithm, headers=headers)
        assert await refused_everywhere(world, token) == INVALID


@proves(
    "9.1.3", "keys come from the installation's own table and JWKS; `jku`, `jwk`, `x5u` are ignored"
)
async def test_a_key_that_a_token_brings_along_is_ignored(world, person):
    own = Ed25519PrivateKey.generate()
    x = base64.urlsafe_b64encode(own.public_key().public_bytes_raw()).rstrip(b"=").decode()
    claims = jwt.decode(person.access_token, options={"verify_signature": False})
    brought = {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "mine"}, "kid": "mine"}
    for headers in (brought, {"jku": "http://localhost/keys"}, {"x5u": "http://localhost/x"}):
        known = {"kid": signing_key(world)[0], "typ": "at+jwt"}
        token = jwt.encode(claims, own, algorithm="EdDSA", headers={**known, **headers})
        assert await refused_everywhere(world, token) == INVALID


@proves("9.2.1", "`exp` must be there and ahead, `nbf` must be past, five seconds aside")
async def test_a_token_holds_within_its_time_alone(world, person):
    past, ahead = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    assert (await me(world, forged(world, person))).user.id == person.id
    assert await refused_everywhere(world, forged(world, person, exp=past)) == {"TOKEN_EXPIRED"}
    assert await refused_everywhere(world, forged(world, person, nbf=ahead)) == INVALID


@proves("9.2.2", "only `typ: at+jwt` (RFC 9068) calls, and only a refresh token refreshes")
async def test_a_token_of_another_type_is_refused(world, person):
    other = forged(world, person, headers={"typ": "JWT"})
    for token in (other, person.refresh_token):
        assert await refused_everywhere(world, token) == INVALID
    refused = await refusal(refresh(world, person.access_token))
    assert refused.reason in {"TOKEN_INVALID", "INVALID_ARGUMENT"}


@proves("9.2.3", "`aud` must be `smart-audit`, at each service and at the gateway")
async def test_a_token_for_another_audience_is_refused(world, person):
    token = forged(world, person, aud="another service")
    assert await refused_everywhere(world, token) == INVALID


@proves("9.2.4", "the key signs for one audience; a token that names a second one is refused")
async def test_a_token_names_one_audience(world, person):
    claims = jwt.decode(person.access_token, options={"verify_signature": False})
    assert claims["aud"] == "smart-audit"
    token = forged(world, person, aud=["smart-audit", "another service"])
    assert await refused_everywhere(world, token) == INVALID


@proves("10.4.5", "rotation: a token that comes again after 10 seconds of grace ends its session")
async def test_a_refresh_token_that_is_used_twice_ends_the_session(world):
    user = await world.new_user()
    answer = await refresh(world, user.refresh_token)
    execute(
        world,
        "UPDATE auth.refresh_tokens SET rotated_at = rotated_at - interval '11 seconds'"
        " WHERE session_id = %s",
        user.session_id,
    )
    assert (await refusal(refresh(world, user.refresh_token))).reason == "TOKEN_REUSED"
    assert (await refusal(refresh(world, answer.refresh_token))).reason == "SESSION_ENDED"


@proves("10.4.8", "a refresh token never outlives its session, however often it is exchanged")
async def test_a_refresh_token_has_a_greatest_age(world, person):
    session = await world.login(person.email)
    soon = datetime.now(UTC) + timedelta(hours=1)
    execute(
        world, "UPDATE auth.sessions SET expires_at = %s WHERE id = %s", soon, session.session_id
    )
    answer = await refresh(world, session.refresh_token)
    assert answer.refresh_expires_in == pytest.approx(3600, abs=10)
