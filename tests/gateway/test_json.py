"""The product as a web client sees it: JSON through a real Envoy, both real services behind it."""

from uuid import uuid4

import pytest

from tests.support.world import PASSWORD

ORIGIN = "http://localhost:3000"


def person(**changes):
    fields = {
        "email": f"{uuid4().hex}@example.com",
        "password": PASSWORD,
        "first_name": "Ada",
        "last_name": "Lovelace",
    }
    return {k: v for k, v in (fields | changes).items() if v is not None}


@pytest.fixture
async def user(gateway):
    """A logged-in user: the login's answer, and headers that carry its token."""
    data = person()
    assert (await gateway.http.post("/auth/signup", json=data)).status_code == 200
    credentials = {"email": data["email"], "password": data["password"]}
    answer = (await gateway.http.post("/auth/login", json=credentials)).json()
    return answer | {"headers": {"authorization": f"Bearer {answer['access_token']}"}}


def error_of(answer):
    """The one error shape: (HTTP status, gRPC code, reason, wrong fields)."""
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"code", "message", "details"}
    (info,) = [one for one in body["details"] if one["@type"].endswith("google.rpc.ErrorInfo")]
    assert info["domain"] == "smart-audit"
    fields = [
        violation["field"]
        for one in body["details"]
        if one["@type"].endswith("BadRequest")
        for violation in one["field_violations"]
    ]
    return answer.status_code, body["code"], info["reason"], fields


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_signup_and_login_answer_as_the_front_end_expects(gateway, prefix):
    data = person()
    signed_up = await gateway.http.post(f"{prefix}/auth/signup", json=data)
    assert signed_up.status_code == 200
    body = signed_up.json()
    assert body["message"] == "User created successfully"
    assert body["user"] == {"id": body["user"]["id"], "email": data["email"]}
    credentials = {"email": data["email"], "password": data["password"]}
    logged_in = await gateway.http.post(f"{prefix}/auth/login", json=credentials)
    assert logged_in.status_code == 200
    answer = logged_in.json()
    assert answer["token_type"] == "bearer"
    assert answer["user"] == body["user"]
    assert answer["expires_in"] == 1800
    assert answer["access_token"].count(".") == 2
    assert answer["refresh_token"]


async def test_who_am_i_needs_the_token(gateway, user):
    refused = await gateway.http.get("/auth/me")
    assert error_of(refused)[:2] == (401, 16)
    me = await gateway.http.get("/auth/me", headers=user["headers"])
    assert me.status_code == 200
    assert me.json()["user"]["email"] == user["user"]["email"]
    assert me.json()["organisation"]["role"] == "owner"


async def test_wrong_password_and_unknown_user_get_the_same_401(gateway, user):
    answers = [
        await gateway.http.post("/auth/login", json={"email": email, "password": "wrong one"})
        for email in (user["user"]["email"], f"{uuid4().hex}@example.com")
    ]
    assert [error_of(one)[:3] for one in answers] == [(401, 16, "CREDENTIALS_INVALID")] * 2
    assert answers[0].json()["message"] == answers[1].json()["message"]


async def test_a_signup_does_not_tell_whether_the_address_is_taken(gateway, user):
    again = person(email=user["user"]["email"].upper())
    answers = [await gateway.http.post("/auth/signup", json=one) for one in (again, person())]
    assert [answer.status_code for answer in answers] == [200, 200]
    taken, new = (answer.json() for answer in answers)
    assert shape(taken) == shape(new)
    assert taken["user"]["id"] != user["user"]["id"]


def shape(value):
    """The keys of a JSON value, without what each signup has of its own."""
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    return len(value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password": "short"}, "password"),
        ({"password": None}, "password"),
        ({"email": "not an address"}, "email"),
        ({"email": None}, "email"),
        ({"first_name": None}, "first_name"),
        ({"last_name": ""}, "last_name"),
    ],
)
async def test_a_bad_field_is_a_400_that_names_it(gateway, changes, field):
    answer = await gateway.http.post("/auth/signup", json=person(**changes))
    assert error_of(answer) == (400, 3, "INVALID_ARGUMENT", [field])


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"email": 5}', b"\xff\xfe"])
async def test_what_is_no_such_json_is_a_400(gateway, body):
    answer = await gateway.http.post(
        "/auth/login", content=body, headers={"content-type": "application/json"}
    )
    assert error_of(answer)[:2] == (400, 3)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/nowhere", 404),
        ("DELETE", "/v1/events", 404),
        ("GET", "/v1/events?unknown=1", 400),
        ("GET", "/v1/events?page_size=x", 400),
        ("GET", "/v1/events?page_size=-1", 400),
        ("GET", "/v1/events/no-uuid", 400),
        ("GET", "/v1/events/00000000-0000-7000-8000-000000000001", 404),
        ("GET", "/v1/events/a%2Fb", 400),
    ],
)
async def test_every_failure_has_the_one_shape(gateway, user, method, path, status):
    answer = await gateway.http.request(method, path, headers=user["headers"])
    assert error_of(answer)[0] == status


async def test_an_event_is_recorded_listed_and_proven_as_json(gateway, user):
    sent = {
        "action": "document.delete",
        "actor": {"id": "u_1", "name": "Ada"},
        "outcome": "OUTCOME_DENIED",
        "metadata": {"region": "eu", "tags": ["a", 1, None, True]},
        "occurred_at": "2024-05-01T12:00:00.5Z",
    }
    recorded = await gateway.http.post("/v1/events", json=sent, headers=user["headers"])
    assert recorded.status_code == 200
    receipt = recorded.json()["receipt"]
    event_id = receipt["event_id"]
    answer = (await gateway.http.get(f"/v1/events/{event_id}", headers=user["headers"])).json()
    assert answer["event"]["metadata"] == sent["metadata"]
    assert answer["event"]["log_index"] == receipt["proof"]["log_index"]
    filters = "action=document.delete&outcome=OUTCOME_DENIED&occurred_from=2024-05-01T12:00:00Z"
    listed = await gateway.http.get(f"/v1/events?{filters}", headers=user["headers"])
    assert [one["id"] for one in listed.json()["events"]] == [event_id]
    assert listed.json()["next_page_token"] == ""
    proof = await gateway.http.get(
        f"/v1/log/proofs/inclusion?event_id={event_id}", headers=user["headers"]
    )
    assert proof.json()["proof"]["leaf_hash"] == receipt["proof"]["leaf_hash"]
    checkpoint = (await gateway.http.get("/v1/log/checkpoint", headers=user["headers"])).json()
    assert int(checkpoint["tree_size"]) >= int(receipt["proof"]["tree_size"])
    consistency = await gateway.http.get(
        "/v1/log/proofs/consistency?first_size=1", headers=user["headers"]
    )
    assert consistency.status_code == 200
    batch = await gateway.http.post(
        "/v1/events:batch", json={"events": [sent, {}]}, headers=user["headers"]
    )
    first, second = batch.json()["results"]
    assert first["receipt"]
    assert second["refusal"]["reason"] == "INVALID_ARGUMENT"


async def test_events_are_counted_as_json(gateway, user):
    outcomes = ("OUTCOME_SUCCESS", "OUTCOME_SUCCESS", "OUTCOME_DENIED")
    for outcome in outcomes:
        event = {"action": "count.me", "actor": {"id": "u_1"}, "outcome": outcome}
        event["occurred_at"] = "2024-05-01T12:00:00Z"
        await gateway.http.post("/v1/events", json=event, headers=user["headers"])
    asked = {"filter": "action=count.me", "group_by": ["outcome"], "bucket": "TIME_BUCKET_DAY"}
    for answer in (
        await gateway.http.post("/v1/events:aggregate", json=asked, headers=user["headers"]),
        await gateway.http.get("/v1/events:aggregate", params=asked, headers=user["headers"]),
    ):
        assert answer.status_code == 200, answer.text
        content = answer.json()
        assert content["total"] == "3"
        assert [(one["value"], one["count"]) for one in content["groups"]] == [
            ("SUCCESS", "2"),
            ("DENIED", "1"),
        ]
        (bucket,) = content["buckets"]
        assert (bucket["start"], bucket["count"]) == ("2024-05-01T00:00:00Z", "3")
        assert content["other"] == {"groups": "0", "count": "0"}


async def test_the_keys_are_public_json(gateway):
    keys = (await gateway.http.get("/.well-known/jwks.json")).json()["keys"]
    assert keys[0] | {"x": "", "kid": ""} == {
        "kty": "OKP", "crv": "Ed25519", "x": "", "kid": "", "use": "sig", "alg": "EdDSA",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/auth/login", "/auth/me", "/v1/events"])
async def test_a_preflight_of_the_front_end_is_allowed(gateway, path):
    answer = await gateway.http.options(
        path,
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "content-type" in allowed


async def test_answers_and_refusals_carry_the_cors_headers(gateway, user):
    for headers in (user["headers"], {}):
        answer = await gateway.http.get("/auth/me", headers={"origin": ORIGIN, **headers})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["access-control-allow-credentials"] == "true"


async def test_another_origin_is_not_allowed(gateway):
    answer = await gateway.http.options(
        "/auth/login",
        headers={"origin": "http://evil.test", "access-control-request-method": "POST"},
    )
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path",
    ["/v1/events/", "/auth/me/", "//v1/events", "/v1/events;x", "/AUTH/ME", "/auth/login/../me"],
)
async def test_no_spelling_of_a_path_goes_round_the_token(gateway, path):
    answer = await gateway.http.get(path)
    assert answer.status_code in {400, 401, 404}
    native = await gateway.http.post("/smart_audit.api.audit.v1.EventService/ListEvents")
    assert native.status_code == 401


async def test_a_logout_ends_the_session(gateway, user):
    out = await gateway.http.post("/auth/logout", json={}, headers=user["headers"])
    assert out.json() == {"message": "Logged out"}
    answer = await gateway.http.get("/auth/me", headers=user["headers"])
    assert error_of(answer)[:3] == (401, 16, "SESSION_ENDED")
    refreshed = await gateway.http.post(
        "/auth/refresh", json={"refresh_token": user["refresh_token"]}
    )
    assert error_of(refreshed)[:3] == (401, 16, "SESSION_ENDED")


async def test_the_clients_address_is_the_one_the_gateway_saw(gateway, user):
    answer = await gateway.http.post(
        "/auth/login",
        json={"email": user["user"]["email"], "password": "wrong"},
        headers={"x-forwarded-for": "203.0.113.9", "user-agent": "Browser/7"},
    )
    assert answer.status_code == 401
    for _ in range(100):
        listed = await gateway.http.get(
            "/v1/events?action=auth.login&outcome=OUTCOME_DENIED", headers=user["headers"]
        )
        if events := listed.json()["events"]:
            break
    assert events[0]["source_address"] == "127.0.0.1"
    assert events[0]["user_agent"] == "Browser/7"


async def test_a_request_id_is_given_and_found_in_the_error(gateway):
    answer = await gateway.http.post("/auth/login", json={"email": "a@b.c", "password": "x"})
    (info,) = [one for one in answer.json()["details"] if one["@type"].endswith("RequestInfo")]
    assert answer.headers["x-request-id"] == info["request_id"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("a~b", "1"), ("+0.0", "1"), ("ck9#", "1"), ("x-note", "caf\xe9"), ("x-data-bin", "%%%")],
)
async def test_a_header_that_grpc_does_not_know_is_no_fault_of_ours(gateway, name, value):
    headers = {name: value.encode("latin-1")}
    answer = await gateway.http.get("/.well-known/jwks.json", headers=headers)
    assert answer.status_code == 200, answer.text


async def test_a_clients_own_request_id_is_kept_to_the_last_digit(gateway):
    # Of a UUID Envoy would use a digit to say why a call is traced.
    own = "0193a6f2-7c1e-7d3a-9b42-5e1f0c8d7a64"
    answer = await gateway.http.get("/v1/me", headers={"x-request-id": own})
    assert answer.headers["x-request-id"] == own
