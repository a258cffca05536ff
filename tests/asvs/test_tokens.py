"""ASVS V9, self-contained tokens, and what of V10, OAuth, applies: at both services."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.auth.v1 import oauth_pb2, oauth_pb2_grpc
from tests.asvs.acting import me, refresh, refused_everywhere
from tests.asvs.requirements import proves
from tests.support.tokens import claims_of, forged, rewritten, signed_by_hmac, signing_key
from tests.support.world import PASSWORD, refusal

INVALID = {"TOKEN_INVALID"}


@proves("9.1.2", "EdDSA alone; `none`, and HS256 with the public key as secret, are refused")
async def test_no_algorithm_but_eddsa_is_accepted(world, person):
    public = signing_key(world)[1].public_key().public_bytes_raw()
    for token in (
        rewritten(person.access_token, header={"alg": "none"}),
        rewritten(person.access_token, header={"alg": "none"}).rpartition(".")[0] + ".",
        signed_by_hmac(person.access_token, public),
    ):
        assert await refused_everywhere(world, token) == INVALID


@proves(
    "9.1.3", "keys are those that auth publishes; `jwk`, `jku` and `x5u` of a token are ignored"
)
async def test_a_key_that_a_token_brings_along_is_ignored(world, person):
    own = Ed25519PrivateKey.generate()
    jwk = jwt.algorithms.OKPAlgorithm.to_jwk(own.public_key(), as_dict=True)
    for headers in (
        {"jwk": jwk},
        {"jwk": jwk | {"kid": "mine"}, "kid": "mine"},
        {"jku": "http://localhost/keys"},
        {"x5u": "http://localhost/certificate"},
    ):
        token = forged(world, person, key=own, headers=headers)
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
    assert claims_of(person.access_token)["aud"] == "smart-audit"
    token = forged(world, person, aud=["smart-audit", "another service"])
    assert await refused_everywhere(world, token) == INVALID


@proves("10.4.4", "`client_credentials` for machines and `refresh_token`; no other grant is known")
async def test_no_implicit_and_no_password_grant_is_offered(world, person):
    oauth = oauth_pb2_grpc.OAuthServiceStub(world.auth_channel)
    offered = await oauth.GetDiscovery(oauth_pb2.GetDiscoveryRequest())
    assert list(offered.grant_types_supported) == ["client_credentials", "refresh_token"]
    assert not offered.response_types_supported
    form = HttpBody(
        content_type="application/x-www-form-urlencoded",
        data=f"grant_type=password&username={person.email}&password={PASSWORD}".encode(),
    )
    refused = await refusal(oauth.Token(oauth_pb2.TokenRequest(form=form)))
    assert refused.reason == "GRANT_TYPE_UNSUPPORTED"


@proves("10.4.5", "rotation: a token that comes again after 10 seconds of grace ends its session")
async def test_a_refresh_token_that_is_used_twice_ends_the_session(world):
    user = await world.new_user()
    answer = await refresh(world, user.refresh_token)
    world.database.execute(
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
    world.database.execute(
        "UPDATE auth.sessions SET expires_at = %s WHERE id = %s", soon, session.session_id
    )
    answer = await refresh(world, session.refresh_token)
    assert answer.refresh_expires_in == pytest.approx(3600, abs=10)


@proves("10.4.6", "no authorization endpoint is offered, so there is no code to intercept")
def test_there_is_no_code_grant():
    assert not {"authorization_endpoint", "code_challenge_methods_supported"} & metadata_fields()


@proves("10.4.7", "no registration endpoint is offered: organisations make their service accounts")
def test_clients_do_not_register_themselves():
    assert "registration_endpoint" not in metadata_fields()


def metadata_fields():
    """What the discovery document can say."""
    return set(oauth_pb2.GetDiscoveryResponse.DESCRIPTOR.fields_by_name)
