"""All RPCs of both services, as they describe themselves."""

from dataclasses import dataclass
from typing import Any

import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support.world import World

OURS = "smart_audit."


@dataclass(frozen=True)
class Method:
    """An RPC as the server's own reflection describes it."""

    name: str
    """Without the package, as in `AuthService.Login`."""
    path: str
    streams: bool
    requests: Any
    answers: Any
    channel: grpc.aio.Channel

    async def call(self, fields: dict[str, Any], metadata: Any) -> Any:
        """Call it by a request in JSON form; of a stream the first answer."""
        request = json_format.ParseDict(fields, self.requests())
        coding: dict[str, Any] = {
            "request_serializer": self.requests.SerializeToString,
            "response_deserializer": self.answers.FromString,
        }
        if not self.streams:
            return await self.channel.unary_unary(self.path, **coding)(request, metadata=metadata)
        call = self.channel.unary_stream(self.path, **coding)(request, metadata=metadata)
        first = await call.read()
        call.cancel()
        return first


async def served(world: World) -> list[Method]:
    """All RPCs of both services, by reflection."""
    found: list[Method] = []
    for channel in (world.auth_channel, world.audit_channel):
        names = await _reflect(channel, list_services="")
        for service in names.list_services_response.service:
            if service.name.startswith(OURS):
                found += await _methods(channel, service.name)
    return found


async def _methods(channel: grpc.aio.Channel, service: str) -> list[Method]:
    answer = await _reflect(channel, file_containing_symbol=service)
    files = map(
        descriptor_pb2.FileDescriptorProto.FromString,
        answer.file_descriptor_response.file_descriptor_proto,
    )
    short = service.rpartition(".")[2]
    return [
        Method(
            f"{short}.{method.name}",
            f"/{service}/{method.name}",
            method.server_streaming,
            _message(method.input_type),
            _message(method.output_type),
            channel,
        )
        for file in files
        for one in file.service
        if one.name == short
        for method in one.method
    ]


async def _reflect(channel: grpc.aio.Channel, **question: str) -> Any:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**question)]))
    return await call.read()


def _message(name: str) -> Any:
    pool = descriptor_pool.Default()
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name.removeprefix(".")))
