"""The least that a Python gRPC server can do: it answers each call with its request.

`python -m benchmarks.echo PORT`: no interceptor, no parsing, uvloop as in the services. It ends
with its standard input, and so with its parent, however that ends.
"""

import asyncio
import sys

import grpc
import grpc.aio
import uvloop

METHOD = "/benchmarks.Echo/Echo"


async def _echo(request: bytes, _: object) -> bytes:
    return request


async def _serve(port: int) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Echo": grpc.unary_unary_rpc_method_handler(_echo)
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("benchmarks.Echo", handlers),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(grace=None)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1])))
