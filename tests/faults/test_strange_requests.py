"""Requests that no client of ours would send are refused by their fault, never by a crash."""

import random

import grpc
import grpc.aio
import pytest
from google.protobuf.message import DecodeError

from smart_audit.api.audit.v1 import audit_pb2
from smart_audit.api.auth.v1 import auth_pb2
from tests.support.events import event, settled
from tests.support.world import PASSWORD

CRASHES = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
UUID = "00000000-0000-7000-8000-000000000001"


def requests():
    """A valid request of each method: (service, method, request)."""
    listing = audit_pb2.ListEventsRequest(
        page_size=3, page_token="WyJ4IiwxLDFd", actor_id="u_1", outcome=1
    )
    listing.occurred_from.FromSeconds(1_700_000_000)
    return [
        ("auth.v1.AuthService", "Login", auth_pb2.LoginRequest(email="a@b.c", password=PASSWORD)),
        ("auth.v1.AuthService", "RefreshToken", auth_pb2.RefreshTokenRequest(refresh_token="abc")),
        ("audit.v1.EventService", "RecordEvent", audit_pb2.RecordEventRequest(event=event())),
        (
            "audit.v1.EventService",
            "RecordEvents",
            audit_pb2.RecordEventsRequest(events=[event(), event()]),
        ),
        ("audit.v1.EventService", "GetEvent", audit_pb2.GetEventRequest(event_id=UUID)),
        ("audit.v1.EventService", "ListEvents", listing),
        (
            "audit.v1.LogService",
            "GetInclusionProof",
            audit_pb2.GetInclusionProofRequest(log_index=1, tree_size=2),
        ),
        (
            "audit.v1.LogService",
            "GetConsistencyProof",
            audit_pb2.GetConsistencyProofRequest(first_size=1, second_size=2),
        ),
    ]


def mutants(request, chance, count):
    """Requests that differ from a valid one in a few bytes, and that protobuf still reads."""
    valid = request.SerializeToString()
    found = []
    while len(found) < count:
        data = bytearray(valid)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    data[place] = chance.randrange(256)
                case 1:
                    data.insert(place, chance.choice([0, 1, 9, 31, 127, 255]))
                case 2 if len(data) > 1:
                    del data[place]
        try:
            type(request).FromString(bytes(data))
        except DecodeError:
            continue
        found.append(bytes(data))
    return found


async def send(world, user, service, method, data):
    port = world.auth_port if service.startswith("auth") else world.audit_port
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(f"/smart_audit.api.{service}/{method}")
        for one in data:
            try:
                await call(one, metadata=user.metadata)
            except grpc.aio.AioRpcError as error:
                if error.code() in CRASHES:
                    raise AssertionError(f"{method} crashed by {one!r}") from error


@pytest.mark.parametrize(
    ("service", "method", "request_"), requests(), ids=[one[1] for one in requests()]
)
async def test_a_mutated_request_never_crashes_a_service(world, service, method, request_):
    user = await world.signed_up()
    await settled(world, user)
    slow = method == "Login"
    data = mutants(request_, random.Random(f"{method}-1"), 10 if slow else 60)
    await send(world, user, service, method, data)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("service", "method", "request_"), requests(), ids=[one[1] for one in requests()]
)
async def test_many_mutated_requests_never_crash_a_service(world, service, method, request_):
    user = await world.signed_up()
    await settled(world, user)
    slow = method == "Login"
    for seed in range(10):
        data = mutants(request_, random.Random(f"{method}-{seed}"), 100 if slow else 2000)
        await send(world, user, service, method, data)


async def test_every_extreme_of_a_time_is_refused_or_taken(world):
    user = await world.new_user()
    for seconds in (
        -(2**63),
        -62135596801,
        -62135596800,
        -1,
        253402300799,
        253402300800,
        2**63 - 1,
    ):
        for nanos in (-(2**31), -1, 0, 999_999_999, 2**31 - 1):
            message = event()
            message.occurred_at.seconds, message.occurred_at.nanos = seconds, nanos
            listing = audit_pb2.ListEventsRequest()
            listing.occurred_before.CopyFrom(message.occurred_at)
            record = audit_pb2.RecordEventRequest(event=message)
            await send(
                world,
                user,
                "audit.v1.EventService",
                "RecordEvent",
                [record.SerializeToString()],
            )
            await send(
                world,
                user,
                "audit.v1.EventService",
                "ListEvents",
                [listing.SerializeToString()],
            )
