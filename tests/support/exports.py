"""Exports at the wire: read as a client reads them, with nothing of ours but the protocol."""

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import Any

import grpc.aio
from google.longrunning import operations_pb2

from smart_audit.api.audit.v1 import exports_pb2, exports_pb2_grpc
from tests.support.world import User, World

CURSOR = "export-cursor"


def stub(world: World) -> Any:
    """The service."""
    return exports_pb2_grpc.ExportServiceStub(world.audit_channel)


@dataclass(frozen=True)
class Read:
    """A stream that was read to its end."""

    data: bytes
    messages: list[bytes]
    cursor: str
    content_type: str
    headers: dict[str, str]

    @property
    def lines(self) -> list[Any]:
        """The lines of JSON."""
        return [json.loads(line) for line in self.data.splitlines()]

    @property
    def events(self) -> list[Any]:
        """The events of JSON lines."""
        return [line for line in self.lines if "end" not in line]

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [event["id"] for event in self.events]

    @property
    def end(self) -> Any:
        """What the last line tells, after a look at its digest."""
        head, _, last = self.data.rstrip(b"\n").rpartition(b"\n")
        end = json.loads(last)["end"]
        assert end["sha256"] == hashlib.sha256(head + b"\n" if head else b"").hexdigest()
        return end


async def export(world: World, user: User, **fields: Any) -> Read:
    """Stream an export to its end."""
    request = exports_pb2.ExportEventsRequest(**fields)
    return await read(stub(world).ExportEvents(request, metadata=user.metadata))


async def read(call: Any) -> Read:
    """Read a stream of files to its end. Raises: AioRpcError."""
    bodies = [body async for body in call]
    headers = dict(await call.initial_metadata())
    messages = [body.data for body in bodies]
    return Read(
        b"".join(messages), messages, headers.get(CURSOR, ""), bodies[0].content_type, headers
    )


async def order(world: World, user: User, **fields: Any) -> operations_pb2.Operation:
    """Order an export."""
    request = exports_pb2.CreateExportRequest(**fields)
    operation: operations_pb2.Operation = await stub(world).CreateExport(
        request, metadata=user.metadata
    )
    return operation


def id_of(operation: operations_pb2.Operation) -> str:
    """The id of an operation."""
    prefix, _, operation_id = operation.name.partition("/")
    assert prefix == "operations"
    return str(operation_id)


async def operation_of(world: World, user: User, operation_id: str) -> operations_pb2.Operation:
    """An operation as it is now."""
    request = exports_pb2.GetOperationRequest(operation_id=operation_id)
    found: operations_pb2.Operation = await stub(world).GetOperation(
        request, metadata=user.metadata
    )
    return found


async def until_done(world: World, user: User, operation_id: str) -> operations_pb2.Operation:
    """Wait until an operation is done; a service that is just starting is waited for, too."""
    async with asyncio.timeout(60):
        while True:
            try:
                operation = await operation_of(world, user, operation_id)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
            else:
                if operation.done:
                    return operation
            await asyncio.sleep(0.05)


def progress_of(operation: operations_pb2.Operation) -> exports_pb2.ExportProgress:
    """The metadata of an operation."""
    progress = exports_pb2.ExportProgress()
    assert operation.metadata.Unpack(progress)
    return progress


def file_of(operation: operations_pb2.Operation) -> exports_pb2.ExportFile:
    """The response of an operation that has succeeded."""
    file = exports_pb2.ExportFile()
    assert operation.response.Unpack(file), operation.error
    return file


async def download(world: World, user: User, operation_id: str, offset: int = 0) -> Read:
    """Fetch a file."""
    request = exports_pb2.DownloadExportRequest(export_id=operation_id, offset=offset)
    return await read(stub(world).DownloadExport(request, metadata=user.metadata))


async def cancel(world: World, user: User, operation_id: str) -> None:
    """Cancel an operation."""
    request = exports_pb2.CancelOperationRequest(operation_id=operation_id)
    await stub(world).CancelOperation(request, metadata=user.metadata)


async def delete(world: World, user: User, operation_id: str) -> None:
    """Delete an operation."""
    request = exports_pb2.DeleteOperationRequest(operation_id=operation_id)
    await stub(world).DeleteOperation(request, metadata=user.metadata)


def unfinished(world: World, operation_id: str) -> None:
    """Let a process that never comes back have begun an export, which then stays as it is."""
    world.database.execute(
        "UPDATE audit.exports SET state = 2, lease = gen_random_uuid(),"
        " leased_until = now() + interval '1 hour', sha256 = NULL, finished_at = NULL,"
        " expires_at = NULL WHERE export_id = %s",
        operation_id,
    )
