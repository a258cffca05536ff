"""Mutated bodies to every method, through the gateway and straight to the services.

Nothing crashes: each is answered, or refused for what is wrong with it, and no answer shows what is
inside.
"""

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import grpc.aio
import pytest
from google.protobuf import json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc

from smart_audit.stack import contract
from smart_audit.stack.limits import RateLimits
from tests.support.gateway import Gateway, running_gateway
from tests.support.isolation import ENDS_THE_CALLER, Ids, requests
from tests.support.mutations import mutated
from tests.support.world import User

AT_ONCE = 32
# A stream that was asked for rightly never ends.
STREAM_LIMIT_S, LIMIT_S = 0.3, 60.0
BROKEN = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS}
AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
INSIDE = (
    "Traceback",
    "<class",
    "psycopg",
    "sqlalchemy",
    "site-packages",
    ".py",
    "SELECT ",
    " at 0x",
)


@dataclass(frozen=True)
class Method:
    """A method and a valid request to it."""

    name: str
    path: str
    streams: bool
    internal: bool
    body: bytes


def methods() -> list[Method]:
    valid = requests(Ids.of_nothing())
    found = []
    described = {method.path: method for method in contract.methods()}
    for service in contract.service_descriptors():
        for method in service.methods:
            path = f"/{service.full_name}/{method.name}"
            name = f"{service.name}.{method.name}"
            kind = message_factory.GetMessageClass(method.input_type)
            body = json_format.ParseDict(valid[name], kind()).SerializeToString()
            known = described[path]
            found.append(Method(name, path, known.streams, known.internal, body))
    return found


class Fuzzing:
    """Sends bodies, and keeps what should not have come back."""

    def __init__(self, gateway: Gateway, user: User, short_lived: User) -> None:
        self.codes: Counter[str] = Counter()
        self.faults: list[str] = []
        self._gateway = gateway
        self._user = user
        self._short_lived = short_lived

    async def run(self, sent: Iterator[tuple[Method, bytes]]) -> None:
        world = self._gateway.world
        places = (f"127.0.0.1:{world.auth_port}", f"127.0.0.1:{world.audit_port}")
        async with (
            grpc.aio.insecure_channel(self._gateway.address) as outside,
            grpc.aio.insecure_channel(places[0]) as auth,
            grpc.aio.insecure_channel(places[1]) as audit,
        ):

            async def work() -> None:
                for number, (method, body) in sent:
                    own = auth if ".auth." in method.path else audit
                    through = number % 2 == 0 and not method.internal
                    await self._send(outside if through else own, method, body)

            sent = enumerate(sent)  # type: ignore[assignment]
            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
            for channel in (auth, audit):
                answer = await health_pb2_grpc.HealthStub(channel).Check(
                    health_pb2.HealthCheckRequest()
                )
                assert answer.status == health_pb2.HealthCheckResponse.SERVING

    async def _send(self, channel: grpc.aio.Channel, method: Method, body: bytes) -> None:
        user = self._short_lived if method.name in ENDS_THE_CALLER else self._user
        try:
            if method.streams:
                stream = channel.unary_stream(method.path)
                call = stream(body, metadata=user.metadata, timeout=STREAM_LIMIT_S)
                await call.read()
                call.cancel()
            else:
                await channel.unary_unary(method.path)(
                    body, metadata=user.metadata, timeout=LIMIT_S
                )
        except grpc.aio.AioRpcError as error:
            self._judge(method, body, error)
        else:
            self.codes["OK"] += 1

    def _judge(self, method: Method, body: bytes, error: grpc.aio.AioRpcError) -> None:
        code = error.code()
        self.codes[code.name] += 1
        late = code is grpc.StatusCode.DEADLINE_EXCEEDED and method.streams
        said = f"{error.details()} {error.trailing_metadata()}"
        shown = [word for word in INSIDE if word in said]
        if code in BROKEN or (code in AWAY and not late) or shown:
            self.faults.append(f"{method.name}: {code.name} {said} for {body.hex()[:400]}")


def bodies(count: int, seed: int) -> Iterator[tuple[Method, bytes]]:
    """The methods in turn, each with a mutation of its request."""
    rng = random.Random(seed)
    for method in itertools.islice(itertools.cycle(methods()), count):
        yield method, mutated(method.body, rng)


async def fuzzed(gateway: Gateway, count: int, seed: int) -> Fuzzing:
    users = [await gateway.world.new_user() for _ in range(2)]
    fuzzing = Fuzzing(gateway, *users)
    await fuzzing.run(bodies(count, seed))
    assert not fuzzing.faults, "\n".join(fuzzing.faults[:20])
    return fuzzing


async def test_bodies_that_are_no_messages_break_nothing(gateway):
    fuzzing = await fuzzed(gateway, 3 * len(methods()), seed=1)
    assert fuzzing.codes["INVALID_ARGUMENT"] > 50
    assert fuzzing.codes["OK"] > 0


@pytest.mark.soak
async def test_a_hundred_thousand_bodies_break_nothing(world):
    async with running_gateway(world, rate_limits=RateLimits(0, 0)) as gateway:
        seed = int.from_bytes(os.urandom(4), "big")
        print(f"seed {seed}")
        fuzzing = await fuzzed(gateway, 100_000, seed)
    print(dict(fuzzing.codes))
    assert fuzzing.codes.total() == 100_000
