"""What each protection of the gateway is good for: the same call with it, and without it.

Without them stands a gateway whose protections have been taken out of its configuration. A call
that both answer alike would be a test that cannot fail.
"""

import time
from contextlib import ExitStack

import grpc
import httpx
import pytest

from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.stack import contract
from tests.stack.fakes.fake_service import Tail
from tests.stack.gateways import bearer, running_gateway, slow_reader

SPOOFED = {"x-user-id": "root"}
PREFLIGHT = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}


def unprotected(config):
    """Take away what the tests below are about."""
    listener = config["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    for protection in (
        "path_with_escaped_slashes_action",
        "early_header_mutation_extensions",
        "local_reply_config",
    ):
        del manager[protection]
    del manager["common_http_protocol_options"]["headers_with_underscores_action"]

    filters = {one["name"]: one for one in manager["http_filters"]}
    tokens = filters["envoy.filters.http.jwt_authn"]["typed_config"]
    asks = {"provider_name": "auth"}
    tokens["rules"] = [
        {"match": {"path": path}, "requires": asks}
        for method in contract.methods()
        for path in method.json_paths
        if not method.public
    ]
    transcoder = filters["envoy.filters.http.grpc_json_transcoder"]["typed_config"]
    del transcoder["request_validation_options"]
    # Behind the transcoder, as one might put it there.
    cors = manager["http_filters"].pop(0)
    manager["http_filters"].insert(-1, cors)
    del manager["http_filters"][0]  # security headers

    hosts = manager["route_config"]["virtual_hosts"]
    hosts[0]["routes"] = [one for one in hosts[0]["routes"] if "direct_response" not in one]
    for cluster in config["static_resources"]["clusters"]:
        for options in cluster.get("typed_extension_protocol_options", {}).values():
            options["explicit_http_config"]["http2_protocol_options"].clear()


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    with running_gateway(tmp_path_factory.mktemp("with")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    with running_gateway(tmp_path_factory.mktemp("without"), change=unprotected) as gateway:
        yield gateway


def status(method, path, content=None, **headers):
    return lambda gateway: (
        httpx.request(method, gateway.url + path, content=content, headers=headers).status_code
    )


def native(gateway):
    """What gRPC says of a call without a token."""
    with grpc.insecure_channel(gateway.address) as channel:
        call = auth_pb2_grpc.AuthServiceStub(channel).GetMe.with_call  # type: ignore[no-untyped-call]
        try:
            return call(auth_pb2.GetMeRequest())[1].code().name
        except grpc.RpcError as error:
            return error.code().name  # type: ignore[attr-defined]


def claimed_user(gateway):
    answer = httpx.get(f"{gateway.url}/auth/me", headers=bearer() | SPOOFED)
    return "x-user-id=root" in answer.json()["session_id"]


def form_of_a_failure(gateway):
    return httpx.get(f"{gateway.url}/auth/me").headers["content-type"]


def sniffing_is_forbidden(gateway):
    return "x-content-type-options" in httpx.get(f"{gateway.url}/auth/me").headers


def who_waits_behind_slow_readers(gateway):
    """The status of a call while three clients do not read their streams."""
    with ExitStack() as streams:
        for _ in range(3):
            streams.enter_context(slow_reader(gateway))
        sent = -1
        while sent != Tail.sent:
            sent = Tail.sent
            time.sleep(0.5)
        try:
            answer = httpx.get(f"{gateway.url}/v1/events", headers=bearer(), timeout=3)
        except httpx.TimeoutException:
            return "waits"
        return answer.status_code


TOKEN = bearer(lifetime_s=3600)


@pytest.mark.parametrize(
    ("ask", "with_it", "without"),
    [
        pytest.param(status("GET", "/auth/me/"), 401, 200, id="slash at the end"),
        pytest.param(native, "UNAUTHENTICATED", "OK", id="native path"),
        pytest.param(status("GET", "/v1/events/a%2Fproof", **TOKEN), 400, 501, id="escaped slash"),
        pytest.param(claimed_user, False, True, id="claimed identity"),
        pytest.param(
            status("GET", "/auth/me", x_user_id="root", **TOKEN), 400, 200, id="underscore"
        ),
        pytest.param(status("GET", "/nope", **TOKEN), 404, 503, id="unknown path"),
        pytest.param(status("GET", "/v1/events?nope=1", **TOKEN), 400, 503, id="unknown parameter"),
        pytest.param(
            status("GET", "/v1/events/a?event_id=b", **TOKEN), 400, 501, id="parameter for path"
        ),
        pytest.param(
            form_of_a_failure, "application/json", "text/plain", id="the gateway's own failures"
        ),
        pytest.param(status("OPTIONS", "/v1/events", **PREFLIGHT), 200, 401, id="preflight"),
        pytest.param(sniffing_is_forbidden, True, False, id="security headers"),
        pytest.param(who_waits_behind_slow_readers, 200, "waits", id="slow readers"),
    ],
)
def test_a_fault_is_there_without_its_protection_alone(protected, bare, ask, with_it, without):
    assert ask(protected) == with_it
    assert ask(bare) == without
