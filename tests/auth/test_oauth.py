"""OAuth as its clients speak it: forms and JSON through the gateway, and by plain gRPC."""

import asyncio
from urllib.parse import urlsplit

import grpc
import jwt
import pytest

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2, machines_pb2
from tests.support.machines import exchange, machines_of
from tests.support.tokens import bearer
from tests.support.world import ISSUER, refusal


@pytest.fixture(scope="module")
async def machines(world):
    async with machines_of(world) as found:
        yield found


@pytest.fixture(scope="module")
async def owner(world):
    return await world.new_user()


@pytest.fixture(scope="module")
async def key(machines, owner):
    return await machines.new_machine(owner, "events.read", "events.record")


def grant(**more):
    return {"grant_type": "client_credentials", **more}


async def test_a_key_is_exchanged_for_a_token_that_works(gateway, key):
    answer = await gateway.http.post("/oauth/token", data=grant(), auth=key.auth)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 1800)
    assert body["scope"] == "events.read events.record"
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["sub"] == claims["client_id"] == key.account_id
    assert claims["sid"] == key.id
    assert "auth_time" not in claims
    headers = {"authorization": f"Bearer {body['access_token']}"}
    assert (await gateway.http.get("/v1/events", headers=headers)).status_code == 200


async def test_a_client_is_known_by_account_or_prefix_in_header_or_form(gateway, key):
    for client_id in (key.account_id, key.prefix):
        for sent in (
            {"data": grant(), "auth": (client_id, key.secret)},
            {"data": grant(client_id=client_id, client_secret=key.secret)},
        ):
            assert (await gateway.http.post("/oauth/token", **sent)).status_code == 200


async def test_a_token_may_be_asked_to_allow_less(gateway, key):
    answer = await gateway.http.post(
        "/oauth/token", data=grant(scope="events.record"), auth=key.auth
    )
    assert answer.json()["scope"] == "events.record"
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert (await gateway.http.get("/v1/events", headers=headers)).status_code == 403


async def test_a_user_refreshes_by_the_standard_grant(gateway, world):
    user = await world.new_user()
    form = {"grant_type": "refresh_token", "refresh_token": user.refresh_token}
    answer = await gateway.http.post("/oauth/token", data=form)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token"}
    headers = {"authorization": f"Bearer {body['access_token']}"}
    assert (await gateway.http.get("/auth/me", headers=headers)).json()["user"]["id"] == user.id
    assert body["refresh_token"] != user.refresh_token


WRONG = "sa_00000000_" + "0" * 49
REFUSED = [
    ({"data": grant()}, 401, "invalid_client"),
    ({"data": grant(), "auth": ("x", WRONG)}, 401, "invalid_client"),
    ({"data": grant(), "headers": {"authorization": "Basic %"}}, 401, "invalid_client"),
    ({"data": grant(client_secret=WRONG)}, 400, "invalid_request"),
    ({"data": grant(client_id="x", client_secret="y"), "auth": ("x", "y")}, 400,
     "invalid_request"),
    ({"data": {"grant_type": "password", "username": "a", "password": "b"}}, 400,
     "unsupported_grant_type"),
    ({"data": {"grant_type": "implicit"}}, 400, "unsupported_grant_type"),
    ({"data": {"grant_type": ""}}, 400, "invalid_request"),
    ({"data": {"grant_type": "refresh_token", "refresh_token": "unknown"}}, 400, "invalid_grant"),
    ({"data": {"grant_type": "refresh_token"}}, 400, "invalid_request"),
    ({"json": grant()}, 400, "invalid_request"),
    ({"content": b"grant_type=a&grant_type=b",
      "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400,
     "invalid_request"),
    ({"content": b"grant_type=%FF",
      "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400,
     "invalid_request"),
    ({"data": {"grant_type": "x" * 70_000}}, 400, "invalid_request"),
    ({"data": grant(scope="x " * 20_000), "auth": ("x", "y")}, 400, "invalid_request"),
    ({"content": b"a" * 30_000 + b"=1&" + b"a" * 30_000 + b"=2",
      "headers": {"content-type": "application/x-www-form-urlencoded"}}, 400,
     "invalid_request"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "status", "error"), REFUSED)
async def test_a_refusal_has_the_form_of_the_rfc(gateway, sent, status, error):
    answer = await gateway.http.post("/oauth/token", **sent)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error
    challenge = 'Basic realm="smart-audit"' if status == 401 else None
    assert answer.headers.get("www-authenticate") == challenge


async def test_a_scope_beyond_the_accounts_is_refused(gateway, machines, key):
    form = grant(scope="events.read log.manage")
    answer = await gateway.http.post("/oauth/token", data=form, auth=key.auth)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    refused = await refusal(machines.send("Token", exchange(key, scope="log.manage")))
    assert refused.metadata == {"scope": "log.manage"}


async def test_a_client_of_grpc_gets_the_refusal_as_a_status(machines, key):
    for form, code, reason in (
        (exchange(key) | {"client_id": "x"}, "UNAUTHENTICATED", "CLIENT_INVALID"),
        (grant(grant_type="password"), "INVALID_ARGUMENT", "GRANT_TYPE_UNSUPPORTED"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "FAILED_PRECONDITION",
         "GRANT_INVALID"),
    ):  # fmt: skip
        refused = await refusal(machines.send("Token", form))
        assert (refused.code.name, refused.reason) == (code, reason)


async def test_exchanges_and_refusals_of_a_known_key_are_in_its_organisations_log(
    world, machines, owner
):
    key = await machines.new_machine(owner)
    await machines.token(key)
    await machines.accounts.RevokeApiKey(
        machines_pb2.RevokeApiKeyRequest(service_account_id=key.account_id, api_key_id=key.id),
        metadata=owner.metadata,
    )
    await refusal(machines.send("Token", exchange(key)))
    for _ in range(250):
        answer = await world.events.ListEvents(
            audit_pb2.ListEventsRequest(actor_id=key.account_id), metadata=owner.metadata
        )
        if len(answer.events) == 2:
            break
        await asyncio.sleep(0.02)
    denied, granted = answer.events
    assert {event.action for event in answer.events} == {"auth.token.issue"}
    assert (granted.outcome, denied.outcome) == (
        audit_pb2.OUTCOME_SUCCESS,
        audit_pb2.OUTCOME_DENIED,
    )
    assert denied.outcome_reason == "CLIENT_INVALID"
    assert granted.actor.type == "service"
    assert ("api_key", key.id) in [(one.type, one.id) for one in granted.targets]
    assert key.secret not in str(answer)


@pytest.mark.parametrize("method", ["Token", "Revoke"])
async def test_an_address_that_sends_many_unknown_keys_has_to_wait_and_others_do_not(
    machines, key, method
):
    there = (("x-forwarded-for", "203.0.113.7" if method == "Token" else "203.0.113.8"),)
    form = exchange(key, token="x") | {"client_secret": WRONG}
    reasons = [
        (await refusal(machines.send(method, form, metadata=there))).reason for _ in range(51)
    ]
    assert reasons == ["CLIENT_INVALID"] * 50 + ["TOO_MANY_ATTEMPTS"]
    assert await machines.send(method, exchange(key, token="x"), metadata=there)
    elsewhere = (("x-forwarded-for", "203.0.113.9"),)
    refused = await refusal(machines.send(method, form, metadata=elsewhere))
    assert refused.reason == "CLIENT_INVALID"


async def test_a_token_is_told_to_its_own_organisation(gateway, machines, owner, key):
    token = await machines.token(key)
    headers = {"authorization": f"Bearer {owner.access_token}"}
    for caller in ({"headers": headers}, {"auth": key.auth}):
        answer = await gateway.http.post("/oauth/introspect", data={"token": token}, **caller)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        claims = jwt.decode(token, options={"verify_signature": False})
        body = answer.json()
        assert body.pop("active") is True
        assert body.pop("token_type") == "Bearer"
        assert body == claims
    told = await machines.introspect(owner.access_token, token)
    assert (told["sub"], told["sid"], told["amr"]) == (owner.id, owner.session_id, ["pwd"])
    assert "client_id" not in told


async def test_a_refresh_token_is_told_until_it_is_spent(world, machines, owner):
    user = await world.login(owner.email)
    told = await machines.introspect(user.refresh_token, owner.access_token)
    assert (told["active"], told["sub"], told["sid"]) == (True, user.id, user.session_id)
    await world.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token))
    assert await machines.introspect(user.refresh_token, owner.access_token) == {"active": False}


async def test_of_no_other_token_anything_is_told(world, machines, owner, key):
    stranger = await world.new_user()
    ended = await world.login(owner.email)
    await world.auth.Logout(auth_pb2.LogoutRequest(), metadata=ended.metadata)
    for token in (stranger.access_token, stranger.refresh_token, key.secret, "x", "a.b.c"):
        assert await machines.introspect(token, owner.access_token) == {"active": False}
    for token in (ended.access_token, ended.refresh_token):
        await inactive_soon(machines, token, owner)


async def inactive_soon(machines, token, caller):
    for _ in range(50):
        if await machines.introspect(token, caller.access_token) == {"active": False}:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the token was active for a second")


async def test_nobody_looks_at_tokens_without_saying_who_asks(gateway, machines, owner, key):
    form = {"token": owner.access_token}
    answer = await gateway.http.post("/oauth/introspect", data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    for token in ("x", key.secret):
        headers = {"authorization": f"Bearer {token}"}
        answer = await gateway.http.post("/oauth/introspect", data=form, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    refused = await refusal(machines.send("Introspect", {}, f"Bearer {owner.access_token}"))
    assert refused.fields == {"token": "is required"}


async def test_a_key_that_asks_is_refused_within_a_second_of_its_revocation(machines, owner):
    key = await machines.new_machine(owner)
    form = {"token": "x", "client_id": key.prefix, "client_secret": key.secret}
    assert await machines.ask("Introspect", form) == {"active": False}
    await machines.accounts.DisableServiceAccount(
        machines_pb2.DisableServiceAccountRequest(service_account_id=key.account_id),
        metadata=owner.metadata,
    )
    for _ in range(50):
        try:
            await machines.ask("Introspect", form)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED  # noqa: PT017
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the key was taken for a second")


async def test_an_access_token_is_revoked_alone(gateway, machines, world, owner, key):
    token, kept = await machines.token(key), await machines.token(key)
    answer = await gateway.http.post("/oauth/revoke", data={"token": token})
    assert (answer.status_code, answer.json()) == (200, {})
    await inactive_soon(machines, token, owner)
    request = audit_pb2.ListEventsRequest()
    refused = await refusal(world.events.ListEvents(request, metadata=bearer(token)))
    assert refused.reason == "SESSION_ENDED"
    await world.events.ListEvents(request, metadata=bearer(kept))


async def test_a_revoked_refresh_token_ends_its_session(gateway, world):
    user = await world.new_user()
    form = {"token": user.refresh_token, "token_type_hint": "refresh_token"}
    assert (await gateway.http.post("/oauth/revoke", data=form)).status_code == 200
    spent = auth_pb2.RefreshTokenRequest(refresh_token=user.refresh_token)
    assert (await refusal(world.auth.RefreshToken(spent))).reason == "SESSION_ENDED"


async def test_what_is_unknown_or_of_others_is_let_be_with_the_same_answer(
    gateway, world, machines, key
):
    stranger = await world.new_user()
    for token in ("x", stranger.access_token, stranger.refresh_token):
        answer = await gateway.http.post("/oauth/revoke", data={"token": token}, auth=key.auth)
        assert (answer.status_code, answer.json()) == (200, {})
    assert await world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=stranger.metadata)
    wrong = await gateway.http.post("/oauth/revoke", data={"token": "x"}, auth=("x", WRONG))
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")


async def test_what_is_offered_is_there(gateway):
    for name in ("openid-configuration", "oauth-authorization-server"):
        answer = await gateway.http.get(f"/.well-known/{name}")
        assert answer.status_code == 200
        offered = answer.json()
        assert offered["issuer"] == ISSUER
        assert offered["response_types_supported"] == []
        assert set(offered["grant_types_supported"]) == {"client_credentials", "refresh_token"}
        assert "events.record" in offered["scopes_supported"]
        for name_of, url in offered.items():
            if name_of.endswith("_endpoint"):
                path = urlsplit(url).path
                assert (await gateway.http.post(path, data={})).status_code in (400, 401)
        keys = await gateway.http.get(urlsplit(offered["jwks_uri"]).path)
        assert keys.json()["keys"]


async def test_a_key_as_bearer_is_told_how_to_exchange_it(gateway, world, key):
    headers = {"authorization": f"Bearer {key.secret}"}
    for path in ("/v1/events", "/auth/me"):
        answer = await gateway.http.get(path, headers=headers)
        assert answer.status_code == 401
        body = answer.json()
        assert "POST /oauth/token" in body["message"]
        assert body["details"][0]["reason"] == "API_KEY_AS_TOKEN"
    for call in (
        world.auth.GetMe(auth_pb2.GetMeRequest(), metadata=bearer(key.secret)),
        world.events.ListEvents(audit_pb2.ListEventsRequest(), metadata=bearer(key.secret)),
    ):
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.UNAUTHENTICATED,
            "API_KEY_AS_TOKEN",
        )
        assert "POST /oauth/token" in refused.message
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        from smart_audit.api.auth.v1 import auth_pb2_grpc  # noqa: PLC0415

        stub = auth_pb2_grpc.AuthServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.GetMe(auth_pb2.GetMeRequest(), metadata=bearer(key.secret))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "POST /oauth/token" in caught.value.details()
