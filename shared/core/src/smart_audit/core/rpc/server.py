"""Running a gRPC server: health, reflection, graceful stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

import grpc.aio
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from smart_audit.core import metrics
from smart_audit.core.rpc.access import rules_of
from smart_audit.core.rpc.interceptor import Interceptor, OnRead, OnRefusal
from smart_audit.core.tokens import TokenVerifier

log = structlog.get_logger()

S = TypeVar("S")

MIB = 1024 * 1024
MAX_REQUEST_BYTES = 16 * MIB
# A bundle of 256 entries of the largest size has a little more than 16 MiB.
MAX_ANSWER_BYTES = 17 * MIB
# As much as the gateway takes. gRPC's own 8 KiB are less than a browser's cookies may be, and
# between that and twice as much it refuses requests by chance.
MAX_METADATA_BYTES = 64 * 1024
GRACE_S = 10
CANCEL_AGAIN_S = 1
LIVENESS = "liveness"
READINESS = "readiness"


class Server:
    """A gRPC server with the kit's interceptor, `grpc.health.v1` and reflection."""

    def __init__(
        self,
        services: Iterable[ServiceDescriptor],
        verifier: TokenVerifier,
        *,
        recent: timedelta,
        on_refusal: OnRefusal,
        on_read: OnRead | None = None,
    ) -> None:
        services = list(services)
        self._names = [service.full_name for service in services]
        self._grpc = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_send_message_length", MAX_ANSWER_BYTES),
                ("grpc.max_metadata_size", MAX_METADATA_BYTES),
                # Two processes on one port would each get a part of the calls, unnoticed.
                ("grpc.so_reuseport", 0),
            ],
        )
        self._interceptor = Interceptor(
            self._grpc, rules_of(services), verifier, recent, on_refusal, on_read
        )
        # Answered for operators and load balancers, without a token.
        self._health = health.aio.HealthServicer()
        self._ready = False
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection(
            [*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._grpc
        )

    def add(self, add_to_server: "Callable[[S, grpc.aio.Server], None]", servicer: S) -> None:
        """Serve a servicer's methods behind the interceptor.

        add_to_server: the generated function, such as `add_EventServiceServicer_to_server`.
        """
        add_to_server(servicer, cast("grpc.aio.Server", self._interceptor))

    @asynccontextmanager
    async def listening(
        self,
        host: str,
        port: int,
        metrics_port: int = 0,
        credentials: grpc.ServerCredentials | None = None,
    ) -> AsyncIterator[int]:
        """Listen, report SERVING, and give the port; at the end let running calls end.

        credentials: of TLS, without which everything is plain.

        Raises: RuntimeError when a port is taken.
        """
        async with metrics.served(host, metrics_port, self.is_ready):
            bound = self._bind(f"{host}:{port}", credentials)
            await self._grpc.start()
            await self._health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
            await self.report(ready=True)
            log.info("server.started", host=host, port=bound)
            try:
                yield bound
            finally:
                await self.report(ready=False)
                await self._grpc.stop(GRACE_S)
                log.info("server.stopped")

    def _bind(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        if credentials is None:
            return self._grpc.add_insecure_port(address)
        return self._grpc.add_secure_port(address, credentials)

    def is_ready(self) -> bool:
        """Whether it was last reported so."""
        return self._ready

    async def report(self, *, ready: bool) -> None:
        """Say by grpc.health.v1 whether to give it work.

        The empty name is that of readiness, since it is what load balancers ask. `liveness` stays
        SERVING as long as somebody answers.
        """
        if ready == self._ready:
            return
        self._ready = ready
        answer = health_pb2.HealthCheckResponse
        status = answer.SERVING if ready else answer.NOT_SERVING
        for name in ["", READINESS, *self._names]:
            await self._health.set(name, status)


@asynccontextmanager
async def background(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run something beside the server, until the context is left."""
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        # A cancelled statement may take its connection with it, and then the error of the rollback
        # takes the cancellation's place: work that goes on after errors would go on. So it is asked
        # until it ends.
        while not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=CANCEL_AGAIN_S)
        with suppress(asyncio.CancelledError):
            await task


async def until_signalled() -> None:
    """Wait for SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
