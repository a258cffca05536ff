"""Access tokens: checked, refreshed, introspected."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import urlencode
from uuid import UUID

import grpc.aio
import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.api.httpbody_pb2 import HttpBody

from benchmarks.echo import METHOD
from benchmarks.load import raw_call, send_all
from benchmarks.measure import Benchmark, Done, Half, Pair, Stopwatch
from benchmarks.system import System
from smart_audit.api.auth.v1 import auth_pb2, oauth_pb2
from smart_audit.core.ids import new_id
from smart_audit.core.revocations import Revocation, Revocations, session_key
from smart_audit.core.tokens import ALGORITHM, AUDIENCE, TOKEN_TYPE, KeyCache, TokenVerifier
from smart_audit.stack import ports

REFRESH = "/smart_audit.api.auth.v1.AuthService/RefreshToken"
INTROSPECT = "/smart_audit.api.auth.v1.OAuthService/Introspect"
ISSUER = "http://benchmark"
CALLERS = 16
REFRESHES_A_ROUND = 1_000
INTROSPECTIONS_A_ROUND = 3_000
ECHO_CALLS = 10_000
START_LIMIT_S = 20

# A realistic stream: tokens live half an hour and are sent some dozens of times; a few are used
# much more than most, and each now and then a new one comes in.
TOKENS = 2_000
CHECKS = 40_000
SKEW = 1.1
REVOKED_SESSIONS = 1_000


@asynccontextmanager
async def token_checks(_: System, scale: float) -> AsyncIterator[Pair]:
    """TokenVerifier.verify over a skewed stream, each round with new tokens; EdDSA alone."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key()

    async def fetch() -> dict[str, object]:
        return {"k": public}

    random = Random(1)
    weights = [1 / (rank + 1) ** SKEW for rank in range(TOKENS)]

    async def ours() -> Done:
        tokens = [_token(key) for _ in range(TOKENS)]
        stream = random.choices(tokens, weights, k=round(CHECKS * scale))
        revocations = Revocations(deaf_after_s=3600)
        revocations.hear(_revocations())
        verifier = TokenVerifier(KeyCache(fetch), revocations, issuer=ISSUER)  # type: ignore[arg-type]
        watch = Stopwatch()
        for token in stream:
            await verifier.verify(token)
        return watch.done(len(stream))

    message = _token(key).rpartition(".")[0].encode()
    signature = key.sign(message)

    async def limit() -> Done:
        count = round(5_000 * scale)
        watch = Stopwatch()
        for _ in range(count):
            public.verify(signature, message)
        return watch.done(count)

    yield Pair(ours, limit)


@asynccontextmanager
async def refreshes(system: System, scale: float) -> AsyncIterator[Pair]:
    """AuthService.RefreshToken along chains, one a caller, over all processes of auth."""
    users = [await system.new_user() for _ in range(CALLERS)]
    newest = [user.refresh_token for user in users]
    call = raw_call(system.auth_workers, REFRESH)
    rounds = max(1, round(REFRESHES_A_ROUND * scale) // CALLERS)

    async def chain(number: int) -> None:
        for _ in range(rounds):
            request = auth_pb2.RefreshTokenRequest(refresh_token=newest[number])
            answer = await call(request.SerializeToString())
            newest[number] = auth_pb2.RefreshTokenResponse.FromString(answer).refresh_token

    async def ours() -> Done:
        await system.settled()
        watch = Stopwatch()
        await asyncio.gather(*map(chain, range(CALLERS)))
        return watch.done(rounds * CALLERS)

    async with _limit(system, scale) as pair_limit:
        yield Pair(ours, pair_limit)


@asynccontextmanager
async def introspections(system: System, scale: float) -> AsyncIterator[Pair]:
    """OAuthService.Introspect of access tokens, over all processes of auth."""
    users = [await system.new_user() for _ in range(CALLERS)]
    caller = users[0]
    call = raw_call(system.auth_workers, INTROSPECT, caller.access_token)
    body = urlencode({"token": caller.access_token}).encode()
    request = oauth_pb2.IntrospectRequest(
        form=HttpBody(content_type="application/x-www-form-urlencoded", data=body)
    ).SerializeToString()
    requests = [request] * round(INTROSPECTIONS_A_ROUND * scale)

    async def ours() -> Done:
        await system.settled()
        watch = Stopwatch()
        answers = await send_all(call, requests, CALLERS)
        done = watch.done(len(answers))
        if b'"active":true' not in HttpBody.FromString(answers[0]).data.replace(b" ", b""):
            raise RuntimeError("the token was not active")
        return done

    async with _limit(system, scale) as pair_limit:
        yield Pair(ours, pair_limit)


@asynccontextmanager
async def _limit(system: System, scale: float) -> AsyncIterator[Half]:
    """The half of a server that does nothing."""
    (port,) = ports.free_ports(1, taken=set())
    with system.child("benchmarks.echo", str(port)):
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        await asyncio.wait_for(channel.channel_ready(), START_LIMIT_S)
        echo = raw_call(channel, METHOD)
        requests = [bytes(64)] * round(ECHO_CALLS * scale)

        async def limit() -> Done:
            watch = Stopwatch()
            return watch.done(len(await send_all(echo, requests, CALLERS)))

        yield limit
        await channel.close()


def _token(key: Ed25519PrivateKey) -> str:
    now = datetime.now(UTC)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(new_id()),
        "org": str(new_id()),
        "sid": str(new_id()),
        "jti": str(new_id()),
        "scope": "events.read events.record log.read",
        "iat": now,
        "exp": now + timedelta(minutes=30),
    }
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": "k", "typ": TOKEN_TYPE})


def _revocations() -> list[Revocation]:
    now = datetime.now(UTC)
    at_ms, until = int(now.timestamp() * 1000), int(now.timestamp()) + 1800
    return [
        Revocation(session_key(UUID(int=number)), at_ms, until)
        for number in range(REVOKED_SESSIONS)
    ]


TOKEN_CHECKS = Benchmark("token checks", "checks/s", "one EdDSA check each", token_checks)
REFRESHES = Benchmark("refreshes, gRPC", "calls/s", "an empty gRPC server", refreshes)
INTROSPECTIONS = Benchmark(
    "introspections, gRPC", "calls/s", "an empty gRPC server", introspections
)
