"""gRPC and gRPC-Web pass through the gateway."""

import asyncio
import base64
import struct

import grpc
import grpc.aio
import pytest

from smart_audit.api.audit.v1 import audit_pb2, audit_pb2_grpc
from smart_audit.api.auth.v1 import auth_pb2, auth_pb2_grpc
from tests.support.events import event, verify
from tests.support.world import refusal


@pytest.fixture
async def channel(gateway):
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        yield channel


async def test_grpc_passes_through(gateway, channel):
    user = await gateway.world.new_user()
    events = audit_pb2_grpc.EventServiceStub(channel)
    answer = await events.RecordEvent(
        audit_pb2.RecordEventRequest(event=event()), metadata=user.metadata
    )
    verify(answer.receipt.proof)
    me = await auth_pb2_grpc.AuthServiceStub(channel).GetMe(
        auth_pb2.GetMeRequest(), metadata=user.metadata
    )
    assert me.user.id == user.id


async def test_a_refusal_keeps_its_details_on_the_way(gateway, channel):
    auth = auth_pb2_grpc.AuthServiceStub(channel)
    refused = await refusal(auth.Signup(auth_pb2.SignupRequest(email="x")))
    assert refused.reason == "INVALID_ARGUMENT"
    assert set(refused.fields) == {"email", "password", "first_name", "last_name"}


async def test_a_large_batch_passes_through(gateway, channel):
    user = await gateway.world.new_user()
    events = audit_pb2_grpc.EventServiceStub(channel)
    request = audit_pb2.RecordEventsRequest(
        events=[event(metadata={"text": "x" * 3000}) for _ in range(1000)]
    )
    assert request.ByteSize() > 3_000_000
    answer = await events.RecordEvents(request, metadata=user.metadata)
    assert all(result.HasField("receipt") for result in answer.results)


@pytest.mark.parametrize("text", [False, True])
async def test_grpc_web_passes_through(gateway, text):
    message = auth_pb2.GetJwksRequest().SerializeToString()
    frame = b"\x00" + struct.pack(">I", len(message)) + message
    kind = "application/grpc-web-text+proto" if text else "application/grpc-web+proto"
    answer = await gateway.http.post(
        "/smart_audit.api.auth.v1.AuthService/GetJwks",
        content=base64.b64encode(frame) if text else frame,
        headers={"content-type": kind, "x-grpc-web": "1", "accept": kind},
    )
    assert answer.status_code == 200
    body = base64.b64decode(answer.content) if text else answer.content
    (length,) = struct.unpack(">I", body[1:5])
    keys = auth_pb2.GetJwksResponse.FromString(body[5 : 5 + length])
    assert keys.keys[0].kty == "OKP"
    assert b"grpc-status:0" in body[5 + length :]


async def test_grpc_needs_a_token_too(gateway, channel):
    events = audit_pb2_grpc.EventServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await events.ListEvents(audit_pb2.ListEventsRequest())
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_a_stream_to_an_unknown_method_is_refused_at_once(gateway, channel):
    user = await gateway.world.new_user()

    async def endless():
        await asyncio.sleep(60)
        yield b""

    call = channel.stream_stream("/nobody.knows.Service/Method")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in call(endless(), metadata=user.metadata, timeout=10):
            pass
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
