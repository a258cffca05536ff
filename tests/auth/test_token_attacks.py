"""Bad access tokens are refused at every door: by each service, and by the gateway for both."""

import asyncio
import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.core.ids import new_id
from tests.support.machines import machines_of
from tests.support.tokens import bearer, forged, rewritten, signed_by_hmac, signing_key
from tests.support.world import refusal

CALLS = (("GetMe", auth_pb2.GetMeRequest()), ("ListEvents", audit_pb2.ListEventsRequest()))


@dataclass
class Doors:
    """All ways in."""

    direct: tuple[Any, Any]
    through_envoy: tuple[Any, Any]
    http: httpx.AsyncClient

    async def refuse(self, token):
        """The reason for which all doors refuse a token; one that lets it in fails."""
        reasons = set()
        for stub, (method, request) in zip(self.direct, CALLS, strict=True):
            refused = await refusal(getattr(stub, method)(request, metadata=bearer(token)))
            assert refused.code is grpc.StatusCode.UNAUTHENTICATED
            reasons.add(refused.reason)
        for path in ("/auth/me", "/v1/events"):
            answer = await self.http.get(path, headers=dict(bearer(token)))
            assert answer.status_code == 401
            reasons.add(answer.json()["details"][0]["reason"])
        for stub, (method, request) in zip(self.through_envoy, CALLS, strict=True):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await getattr(stub, method)(request, metadata=bearer(token))
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        (reason,) = reasons
        return reason

    async def let_in(self, token):
        """Fails when a door refuses a token."""
        for stubs in (self.direct, self.through_envoy):
            for stub, (method, request) in zip(stubs, CALLS, strict=True):
                await getattr(stub, method)(request, metadata=bearer(token))
        for path in ("/auth/me", "/v1/events"):
            assert (await self.http.get(path, headers=dict(bearer(token)))).status_code == 200


@pytest.fixture(scope="module")
async def doors(gateway):
    world = gateway.world
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        through_envoy = (
            auth_pb2_grpc.AuthServiceStub(channel),
            audit_pb2_grpc.EventServiceStub(channel),
        )
        yield Doors((world.auth, world.events), through_envoy, gateway.http)


@pytest.fixture(scope="module")
async def user(world):
    return await world.new_user()


async def test_a_well_made_token_is_accepted(world, doors, user):
    # The control of the tests below: their tokens differ from this one in one point each.
    await doors.let_in(forged(world, user))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": datetime(2020, 1, 1, tzinfo=UTC)}, "TOKEN_EXPIRED"),
        ({"nbf": datetime(2100, 1, 1, tzinfo=UTC)}, "TOKEN_INVALID"),
        ({"iss": "http://elsewhere.test"}, "TOKEN_INVALID"),
        ({"aud": "another audience"}, "TOKEN_INVALID"),
        ({"aud": ["smart-audit", "another"]}, "TOKEN_INVALID"),
        ({"exp": None}, "TOKEN_INVALID"),
        ({"org": None}, "TOKEN_INVALID"),
        ({"org": "not a uuid"}, "TOKEN_INVALID"),
        ({"jti": "not a uuid"}, "TOKEN_INVALID"),
        ({"amr": 7}, "TOKEN_INVALID"),
        ({"act": "somebody"}, "TOKEN_INVALID"),
        ({"headers": {"typ": "JWT"}}, "TOKEN_INVALID"),
        ({"headers": {"kid": "unknown"}}, "TOKEN_INVALID"),
        ({"headers": {"crit": ["exp"]}}, "TOKEN_INVALID"),
    ],
)
async def test_a_token_with_one_wrong_part_is_refused(world, doors, user, changes, reason):
    assert await doors.refuse(forged(world, user, **changes)) == reason


async def test_what_was_changed_under_the_signature_is_refused(world, doors, user):
    good = forged(world, user)
    stranger = await world.new_user()
    for header, claims in (
        ({}, {"sub": stranger.id}),
        ({}, {"org": stranger.organisation_id}),
        ({}, {"scope": "events.record_any"}),
        ({"kid": None}, None),
    ):
        token = rewritten(good, header=header, claims=claims)
        assert await doors.refuse(token) == "TOKEN_INVALID"
    head, body, signature = good.split(".")
    other = forged(world, user, jti=str(new_id())).split(".")[2]
    for token in (f"{head}.{body}.{other}", f"{head}.{body}.", f"{head}.{body}.{signature[:-4]}"):
        assert await doors.refuse(token) == "TOKEN_INVALID"


async def test_a_key_that_the_token_brings_along_is_ignored(world, doors, user):
    own = Ed25519PrivateKey.generate()
    raw = base64.urlsafe_b64encode(own.public_key().public_bytes_raw()).rstrip(b"=").decode()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": raw, "kid": "mine"}
    for headers in (
        {},
        {"jwk": jwk},
        {"jku": "http://127.0.0.1/keys"},
        {"x5u": "http://127.0.0.1/certificate"},
        {"x5c": [raw]},
        {"kid": "mine", "jwk": jwk},
        {"kid": "mine", "jku": "http://127.0.0.1/keys"},
    ):
        token = forged(world, user, key=own, headers=headers)
        assert await doors.refuse(token) == "TOKEN_INVALID"


async def test_a_token_without_a_signature_is_refused(world, doors, user):
    good = forged(world, user)
    for name in ("none", "None", "NONE"):
        token = rewritten(good, header={"alg": name})
        assert await doors.refuse(token) == "TOKEN_INVALID"
        assert await doors.refuse(token.rsplit(".", 1)[0] + ".") == "TOKEN_INVALID"


async def test_the_public_key_is_no_shared_secret(world, doors, user):
    good = forged(world, user)
    public = signing_key(world)[1].public_key()
    raw = public.public_bytes_raw()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (raw, base64.urlsafe_b64encode(raw).rstrip(b"="), base64.b64encode(raw), pem):
        assert await doors.refuse(signed_by_hmac(good, secret)) == "TOKEN_INVALID"


async def test_the_token_of_a_revoked_session_is_refused_within_a_second(world, doors, user):
    ended = await world.login(user.email)
    await doors.let_in(ended.access_token)
    await world.auth.Logout(auth_pb2.LogoutRequest(), metadata=ended.metadata)
    await asyncio.sleep(1)
    assert await doors.refuse(ended.access_token) == "SESSION_ENDED"


async def test_what_is_good_elsewhere_is_no_access_token(world, doors, user):
    assert await doors.refuse(user.refresh_token) == "TOKEN_INVALID"
    async with machines_of(world) as machines:
        key = await machines.new_machine(user)
    assert await doors.refuse(key.secret) == "API_KEY_AS_TOKEN"


@pytest.mark.parametrize("token", ["x", "a.b.c", "ey.ey.ey", "." * 10, "x" * 5000])
async def test_what_is_no_token_is_refused(doors, token):
    assert await doors.refuse(token) == "TOKEN_INVALID"
