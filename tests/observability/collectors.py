"""What takes traces and reports of defects, as far as the tests look at them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from aiohttp import web
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class Span:
    """One span."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]
    links: list[str]


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """An OpenTelemetry collector that keeps all spans."""

    endpoint: str = ""
    spans: list[Span] = field(default_factory=list)
    raw: bytes = b""

    async def Export(self, request: Any, _context: Any) -> Any:
        """See opentelemetry.proto.collector.trace.v1."""
        self.raw += request.SerializeToString()
        for resource in request.resource_spans:
            (service,) = [
                one.value.string_value
                for one in resource.resource.attributes
                if one.key == "service.name"
            ]
            self.spans += [
                _span(service, one) for scope in resource.scope_spans for one in scope.spans
            ]
        return trace_service_pb2.ExportTraceServiceResponse()

    async def until(self, enough: Callable[[list[Span]], Any], trace: str) -> list[Span]:
        """The spans of a trace, once they are enough."""
        found: list[Span] = []
        try:
            async with asyncio.timeout(20):
                while not enough(found):
                    await asyncio.sleep(0.05)
                    found = [span for span in self.spans if span.trace == trace]
        except TimeoutError as error:
            names = [(span.service, span.name) for span in found]
            raise AssertionError(f"not enough spans: {names}") from error
        return found


def _span(service: str, one: Any) -> Span:
    attributes = {
        pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "string_value"))
        for pair in one.attributes
    }
    return Span(
        service,
        one.name,
        one.trace_id.hex(),
        one.span_id.hex(),
        one.parent_span_id.hex(),
        attributes,
        [link.trace_id.hex() for link in one.links],
    )


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Take spans by OTLP over gRPC."""
    server = grpc.aio.server()
    found = Collector()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(found, server)
    port = server.add_insecure_port("127.0.0.1:0")
    found.endpoint = f"http://127.0.0.1:{port}"
    await server.start()
    try:
        yield found
    finally:
        await server.stop(None)


@dataclass
class Defects:
    """What takes reports by Sentry's protocol."""

    dsn: str = ""
    bodies: list[str] = field(default_factory=list)

    def events(self) -> list[dict[str, Any]]:
        """The reports of defects among what has come."""
        lines = [json.loads(line) for body in self.bodies for line in body.splitlines() if line]
        return [line for line in lines if "exception" in line]

    async def take(self, request: web.Request) -> web.Response:
        """An envelope: lines of JSON."""
        self.bodies.append(await request.text())
        return web.json_response({})


@asynccontextmanager
async def defects() -> AsyncIterator[Defects]:
    """Take reports over HTTP."""
    found = Defects()
    app = web.Application()
    app.router.add_post("/api/1/envelope/", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    found.dsn = f"http://0123456789abcdef@127.0.0.1:{port}/1"
    try:
        yield found
    finally:
        await runner.cleanup()
