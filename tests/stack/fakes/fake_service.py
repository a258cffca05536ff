"""The smallest services that the stack can run: they keep the environment's contract."""

import base64
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import jwt
import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.api import httpbody_pb2
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc, tail_pb2_grpc
from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc

KEY_ID = "test-key"
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def serve(service: str) -> None:
    """Serve health and a few methods, with the database role that the contract promises."""
    prefix = service.upper()
    assert len(base64.b64decode(os.environ[f"{prefix}_KEY_ENCRYPTION_KEY"])) == 32
    assert f"{prefix}_MIGRATION_DATABASE_URL" not in os.environ
    with psycopg.connect(os.environ[f"{prefix}_DATABASE_URL"]) as connection:
        assert connection.info.user == f"smart_audit_{service}"
    server, checks = build(service)
    server.add_insecure_port(f"{os.environ[f'{prefix}_HOST']}:{os.environ[f'{prefix}_PORT']}")
    server.start()
    checks.set("", health_pb2.HealthCheckResponse.SERVING)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    stopped.wait()
    server.stop(1).wait()


def build(service: str, keys_take_s: float = 0.0) -> tuple[grpc.Server, health.HealthServicer]:
    """Return a server without a port, not serving yet, and its health."""
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    checks = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    if service == "auth":
        auth_pb2_grpc.add_AuthServiceServicer_to_server(Auth(keys_take_s), server)  # type: ignore[abstract]
    else:
        audit_pb2_grpc.add_EventServiceServicer_to_server(Events(), server)  # type: ignore[abstract]
        tail_pb2_grpc.add_TailServiceServicer_to_server(Tail(), server)  # type: ignore[abstract]
    return server, checks


class Auth(auth_pb2_grpc.AuthServiceServicer):
    """Signs nobody in, and serves the test's key."""

    def __init__(self, keys_take_s):
        self._keys_take_s = keys_take_s

    def Login(self, _request, context):
        detail = any_pb2.Any()
        info = error_details_pb2.ErrorInfo(reason="CREDENTIALS_INVALID", domain="smart-audit")
        detail.Pack(info)
        refusal = status_pb2.Status(code=16, message="wrong", details=[detail])
        context.abort_with_status(rpc_status.to_status(refusal))

    def GetMe(self, _request, context):
        """Answer with the headers that arrived, as the session id: tests look at them."""
        headers = dict(context.invocation_metadata())
        seen = " ".join(f"{key}={headers[key]}" for key in sorted(headers) if key != "user-agent")
        return auth_pb2.GetMeResponse(session_id=seen)

    def GetJwks(self, _request, _context):
        time.sleep(self._keys_take_s)
        public = PRIVATE_KEY.public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        key = auth_pb2.JsonWebKey(kty="OKP", crv="Ed25519", x=x, kid=KEY_ID, use="sig", alg="EdDSA")
        return auth_pb2.GetJwksResponse(keys=[key])


class Events(audit_pb2_grpc.EventServiceServicer):
    """Keeps nothing but how often it was asked for what fails."""

    def __init__(self):
        self.failed = Counter()

    def RecordEvent(self, request, context):
        self._fail(request.event.id, context)
        time.sleep(request.event.metadata.fields["delay_s"].number_value)
        return audit_pb2.RecordEventResponse(receipt=audit_pb2.Receipt(event_id=request.event.id))

    def ListEvents(self, request, context):
        """Answer with the action; that of `how often: NAME` is how often NAME has failed."""
        self._fail(request.action, context)
        asked, _, name = request.action.partition("how often: ")
        answer = str(self.failed[name]) if name else asked
        return audit_pb2.ListEventsResponse(next_page_token=answer)

    def _fail(self, name, context):
        """Fail what is named `fails N...` the first N times."""
        if name.startswith("fails ") and self.failed[name] < int(name.split()[1]):
            self.failed[name] += 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")


class Tail(tail_pb2_grpc.TailServiceServicer):
    """Sends without an end, and without regard for who reads."""

    sent = 0

    def TailEventsAsLines(self, _request, _context):
        while True:
            Tail.sent += 1
            yield httpbody_pb2.HttpBody(content_type="application/x-ndjson", data=b"x" * 2**16)


def token(issuer: str, audience: str = "smart-audit", lifetime_s: float = 300) -> str:
    """An access token as auth would sign it."""
    claims = {"iss": issuer, "aud": audience, "sub": "u", "exp": time.time() + lifetime_s}
    return jwt.encode(claims, PRIVATE_KEY, algorithm="EdDSA", headers={"kid": KEY_ID})
