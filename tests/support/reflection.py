"""All RPCs of both services, as the servers' own reflection describes them."""

from dataclasses import dataclass
from typing import Any

import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from smart_audit.core.rpc.access import Rule, rules_of
from tests.support.world import World

OURS = "smart_audit."
Metadata = tuple[tuple[str, str], ...]
Fields = dict[str, Any]
"""A request in its JSON form."""


@dataclass(frozen=True)
class Method:
    """An RPC."""

    name: str
    """Without the package, as in `AuthService.Login`."""
    descriptor: MethodDescriptor
    channel: grpc.aio.Channel

    @property
    def rule(self) -> Rule:
        """Who may call it, and what the audit log calls it."""
        service = self.descriptor.containing_service
        return rules_of([service])[f"/{service.full_name}/{self.descriptor.name}"]

    async def call(self, request: Fields | Message, metadata: Metadata) -> Any:
        """Call it; of a stream, the first answer."""
        requests = message_factory.GetMessageClass(self.descriptor.input_type)
        answers = message_factory.GetMessageClass(self.descriptor.output_type)
        coding: dict[str, Any] = {
            "request_serializer": requests.SerializeToString,
            "response_deserializer": answers.FromString,
        }
        path = f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"
        message = request if isinstance(request, Message) else _parsed(request, requests())
        if not self.descriptor.server_streaming:
            return await self.channel.unary_unary(path, **coding)(message, metadata=metadata)
        call = self.channel.unary_stream(path, **coding)(message, metadata=metadata)
        first = await call.read()
        call.cancel()
        return first


async def served(world: World) -> list[Method]:
    """Every method of every service of ours that is served."""
    found = []
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
    described = descriptor_pool.Default().FindServiceByName(service)
    return [
        Method(f"{short}.{method.name}", described.FindMethodByName(method.name), channel)
        for file in files
        for one in file.service
        if one.name == short
        for method in one.method
    ]


async def _reflect(channel: grpc.aio.Channel, **question: str) -> Any:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(**question)
    return await stub.ServerReflectionInfo(iter([request])).read()


def _parsed(fields: Fields, message: Message) -> Message:
    return json_format.ParseDict(fields, message)
