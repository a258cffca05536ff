"""What one client may ask of the gateway, by the answers that it gets."""

import time

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from smart_audit.stack import limits
from smart_audit.stack.limits import RateLimits
from tests.stack.gateways import JSON, bearer, error, running_gateway
from tests.stack.running import eventually

CALLS, CREDENTIALS = 6, 3
LEFT = "x-ratelimit-remaining"


@pytest.fixture(scope="module")
def limited(tmp_path_factory):
    """A gateway with low limits, behind a proxy that names the clients."""
    with running_gateway(
        tmp_path_factory.mktemp("l"),
        rate_limits=RateLimits(CALLS, CREDENTIALS),
        trusted_hops=1,
        docs=True,
    ) as gateway:
        yield gateway


def login(limited, client, path="/auth/login"):
    headers = JSON | {"x-forwarded-for": client}
    return httpx.post(limited.url + path, content="{}", headers=headers)


def test_a_client_that_calls_too_often_is_told_when_to_come_again(limited):
    headers = bearer() | {"x-forwarded-for": "192.0.2.1"}
    with httpx.Client(base_url=limited.url, headers=headers) as client:

        def refusal():
            answers = [client.get("/auth/me") for _ in range(4 * CALLS)]
            assert answers[0].status_code == 200
            time.sleep(1)  # for the next try, on a machine that is slow
            return [one for one in answers if one.status_code == 429]

        refused = eventually(refusal, "a refusal", 30)
    assert error(refused[0]) == (429, 8, "TOO_MANY_REQUESTS")
    assert refused[0].headers["retry-after"] == "1"
    assert refused[0].headers["x-ratelimit-limit"] == str(CALLS)
    assert refused[0].headers[LEFT] == "0"
    # Those who watch over it are no clients, and the gateway's own fetch of keys is not counted.
    assert [limited.get("/healthz").status_code for _ in range(2 * CALLS)] == [200] * 2 * CALLS


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_pages_are_counted_as_calls(limited, path):
    answer = limited.get(path, **{"x-forwarded-for": "192.0.2.6"})
    assert answer.headers["x-ratelimit-limit"] == str(CALLS)
    assert "x-ratelimit-limit" not in limited.get("/healthz").headers


def test_credentials_are_taken_less_often_whatever_way_they_come(limited):
    client = "192.0.2.2"
    native = "/smart_audit.api.auth.v1.AuthService/Login"
    paths = ["/auth/login", "/v1/auth/login", native, "/auth/login?x=1", "/auth/refresh"]
    answers = [login(limited, client, path) for path in paths]
    assert [one.headers[LEFT] for one in answers] == ["2", "1", "0", "0", "0"]
    assert [error(one)[2] for one in answers[3:]] == ["TOO_MANY_REQUESTS"] * 2
    assert int(answers[-1].headers["retry-after"]) > 1
    # Everything else goes on, and so does everybody else.
    headers = {"x-forwarded-for": client}
    assert limited.get("/auth/me", **bearer(), **headers).status_code == 200
    assert login(limited, "192.0.2.3").status_code == 401


def test_a_client_is_whom_the_trusted_proxy_names(limited):
    # What stands to the left of the proxy's word is the client's own invention.
    answers = [login(limited, f"203.0.113.{n}, 192.0.2.4") for n in range(CREDENTIALS + 1)]
    assert [one.status_code for one in answers] == [401] * CREDENTIALS + [429]
    # Whoever has one address of an IPv6 network has all of them.
    answers = [login(limited, f"2001:db8::{n}") for n in range(CREDENTIALS + 1)]
    assert [one.status_code for one in answers] == [401] * CREDENTIALS + [429]
    assert login(limited, "2001:db8:0:1::1").status_code == 401


def test_a_grpc_client_gets_the_status_of_grpc_with_its_reason(limited):
    with grpc.insecure_channel(limited.address) as channel:
        stub = auth_pb2_grpc.AuthServiceStub(channel)
        codes = []
        client = (("x-forwarded-for", "192.0.2.5"),)
        for _ in range(CREDENTIALS + 1):
            with pytest.raises(grpc.RpcError) as refused:
                stub.Login(auth_pb2.LoginRequest(), metadata=client)
            codes.append(refused.value.code())
    assert codes[-2:] == [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED]
    info = error_details_pb2.ErrorInfo()
    rpc_status.from_call(refused.value).details[0].Unpack(info)
    assert (info.reason, info.domain) == ("TOO_MANY_REQUESTS", "smart-audit")
    trailers = {one.key: one.value for one in refused.value.trailing_metadata()}
    assert int(trailers["retry-after"]) > 1


def test_what_takes_credentials_follows_from_the_contract():
    paths = limits.credential_paths()
    for path in ("/auth/signup", "/v1/auth/password:reset", "/oauth/token", "/auth/passkey/login"):
        assert path in paths
    # Whoever checks tokens for others does so all the time.
    assert not {"/oauth/introspect", "/.well-known/jwks.json", "/v1/events"} & set(paths)
