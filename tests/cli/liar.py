"""A service that lies: calls go on to the gateway, and a test changes what comes back."""

from contextlib import asynccontextmanager

import grpc
import grpc.aio
from google.api.httpbody_pb2 import HttpBody

from smart_audit.api.audit.v1 import audit_pb2, tiles_pb2

LARGE = [("grpc.max_receive_message_length", 32 * 1024 * 1024)]
METHODS = {
    "GetLogCheckpoint": (tiles_pb2.GetLogCheckpointRequest, HttpBody),
    "GetLogKey": (tiles_pb2.GetLogKeyRequest, HttpBody),
    "GetTile": (tiles_pb2.GetTileRequest, HttpBody),
    "ListEvents": (audit_pb2.ListEventsRequest, audit_pb2.ListEventsResponse),
}


class Liar(grpc.GenericRpcHandler):
    """lies: by method, what changes an answer in place, given request and answer."""

    def __init__(self, channel):
        self._channel = channel
        self.lies = {}
        self.address = ""

    def service(self, call_details):
        name = call_details.method.rpartition("/")[2]

        async def handle(request, context):
            metadata = [one for one in context.invocation_metadata() if one[0] == "authorization"]
            try:
                answer = await self._channel.unary_unary(call_details.method)(
                    request, metadata=metadata
                )
            except grpc.aio.AioRpcError as error:
                context.set_trailing_metadata(tuple(error.trailing_metadata()))
                await context.abort(error.code(), error.details())
            if name not in self.lies:
                return answer
            asked, answered = (kind() for kind in METHODS[name])
            asked.ParseFromString(request)
            answered.ParseFromString(answer)
            self.lies[name](asked, answered)
            return answered.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)


@asynccontextmanager
async def liar_before(end):
    """A liar before the gateway at host:port `end`; it says the truth at first."""
    async with grpc.aio.insecure_channel(end, options=LARGE) as channel:
        liar = Liar(channel)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([liar])
        liar.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield liar
        finally:
            await server.stop(None)
