"""The way of every call: request id, access rule, token, validation, servicer, status, log line.

Nothing else maps errors or aborts: Python's `abort` raises a bare `Exception` (grpc#36009), so a
second place that catches would mistake it for a failure.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from random import getrandbits
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, status_pb2

from smart_audit.core import crashes
from smart_audit.core.errors import (
    AlreadyExists,
    DomainError,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
    ReaderTooSlow,
    RequestUnreadable,
    Unauthenticated,
)
from smart_audit.core.rpc import watching
from smart_audit.core.rpc.access import Rule
from smart_audit.core.rpc.context import Call, begin
from smart_audit.core.rpc.status import from_exception, grpc_code, on_the_wire
from smart_audit.core.rpc.validation import validate
from smart_audit.core.rpc.watching import Watched
from smart_audit.core.tokens import TokenMissing, TokenVerifier, bearer_of

log = structlog.get_logger()

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
REQUEST_ID_BITS = 128
UNREADABLE = "the request cannot be read: is a text not UTF-8, or is it nested too deep?"

# Generic in the stubs alone, so quoted.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Servicer: TypeAlias = Callable[[Any, "Context"], Awaitable[Any]]
StreamServicer: TypeAlias = Callable[[Any, "Context"], AsyncGenerator[Any, None]]
OnRefusal: TypeAlias = Callable[[Call, DomainError], Awaitable[None]]
OnRead: TypeAlias = Callable[[Call, Rule], Awaitable[None]]

# Refusals that tell of a decision about who calls, or about the state of things.
DECISIONS = (Unauthenticated, PermissionDenied, NotFound, AlreadyExists, FailedPrecondition)


class Interceptor:
    """Wraps each method of the servicers that are added; one without a rule does not exist.

    It stands in the server's place when a servicer adds its handlers. gRPC's own interceptors do
    the same at each call, which takes a tenth of it.

    recent: how long ago a recent authentication may be. on_refusal: writes the audit event of a
    refused call that has not written it itself. on_read: writes the audit event of a call that has
    read; what it raises is the call's answer, so that nobody reads without a trace.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        rules: Mapping[str, Rule],
        verifier: TokenVerifier,
        recent: timedelta,
        on_refusal: OnRefusal,
        on_read: OnRead | None = None,
    ) -> None:
        untold = [method for method, rule in rules.items() if rule.reads and on_read is None]
        if untold:
            raise ValueError(f"nobody records the reads of {', '.join(untold)}")
        self._server = server
        self._rules = rules
        self._verifier = verifier
        self._recent = recent
        self._on_refusal = on_refusal
        self._on_read = on_read

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """What generated code calls."""
        self._server.add_generic_rpc_handlers(
            [_Intercepted(handler, self._intercepted) for handler in handlers]
        )

    def add_registered_method_handlers(
        self, _service: str, _handlers: Mapping[str, Handler]
    ) -> None:
        """What generated code calls too, with the same handlers once more."""

    def _intercepted(self, method: str, handler: Handler) -> Handler | None:
        if method not in self._rules or handler.request_streaming:
            return None
        kept = _kept(handler.request_deserializer)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._wrapped_stream(method, cast("StreamServicer", handler.unary_stream)),
                request_deserializer=kept,
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._wrapped(method, cast("Servicer", handler.unary_unary)),
            request_deserializer=kept,
            response_serializer=handler.response_serializer,
        )

    def _wrapped(self, method: str, servicer: Servicer) -> Servicer:
        rule = self._rules[method]
        seen = watching.method(method, streams=False)

        async def call(request: Message | DecodeError, context: Context) -> Any:
            running = _begin(context, rule)
            with Watched(seen, running) as watched:
                try:
                    await self._authenticate(rule, running)
                    validate(_readable(request))
                    answer = await servicer(request, context)
                    await self._read(rule, running)
                except Exception as error:  # noqa: BLE001  (mapped or masked, once, here)
                    status = await self._refused(error, rule, running, method)
                    watched.code = grpc_code(status)
                else:
                    return answer
            return await context.abort_with_status(on_the_wire(status))

        return call

    def _wrapped_stream(self, method: str, servicer: StreamServicer) -> Servicer:
        rule = self._rules[method]
        seen = watching.method(method, streams=True)

        async def stream(request: Message | DecodeError, context: Context) -> None:
            running = _begin(context, rule)
            with Watched(seen, running) as watched:
                try:
                    await self._authenticate(rule, running)
                    validate(_readable(request))
                    # Closed at once: what a stream holds must not wait for the garbage collector.
                    told = self._told(rule, running, servicer(request, context))
                    async with aclosing(told) as answers:
                        async for answer in answers:
                            await _send(answer, running)
                except Exception as error:  # noqa: BLE001  (mapped or masked, once, here)
                    status = await self._refused(error, rule, running, method)
                    watched.code = grpc_code(status)
                else:
                    return
            await context.abort_with_status(on_the_wire(status))

        return stream

    async def _told(
        self, rule: Rule, running: Call, answers: AsyncGenerator[Any, None]
    ) -> AsyncGenerator[Any, None]:
        """The answers of a stream; a read is recorded before the first of them.

        A stream that finds out only later how much it has read tells that at its end.
        """
        begun, told = False, None
        async with aclosing(answers):
            async for answer in answers:
                if not begun:
                    await self._read(rule, running)
                    begun, told = True, running.read.results
                yield answer
        if not begun or running.read.results != told:
            await self._read(rule, running)

    async def _read(self, rule: Rule, running: Call) -> None:
        """Record that a call has read, if its rule says so."""
        if rule.reads and self._on_read is not None and running.caller is not None:
            await self._on_read(running, rule)

    async def _authenticate(self, rule: Rule, running: Call) -> None:
        if rule.public:
            return
        authorization = running.metadata.get("authorization", "")
        if rule.optional and not authorization:
            return
        token = bearer_of(authorization)
        if token is None:
            raise TokenMissing("this needs an access token: send `authorization: Bearer …`")
        running.caller = await self._verifier.verify(token)
        rule.check(running.caller, self._recent)

    async def _refused(
        self, error: Exception, rule: Rule, running: Call, method: str
    ) -> status_pb2.Status:
        """The status of a failure, after the audit event of a refusal was written."""
        status = from_exception(error, running.request_id)
        if status.code == code_pb2.INTERNAL:
            log.error("rpc.crashed", method=method, exc_info=error)
            crashes.report(error, {"method": method, "request_id": running.request_id})
        elif isinstance(error, DomainError) and _is_recorded(error, rule, running):
            try:
                await self._on_refusal(running, error)
            except Exception as failure:
                log.exception("audit.refusal_lost", method=method, error=type(failure).__name__)
        return status


def _is_recorded(error: DomainError, rule: Rule, running: Call) -> bool:
    """Whether a refusal is a decision that the audit log has to know, and does not know yet.

    What is merely malformed is none. Of a read, only a refused permission is. Calls without a good
    token to methods that need one are in the service's log alone: anybody could flood the trail.
    """
    if running.recorded:
        return False
    if running.caller is None:
        return rule.public and not rule.refusals_only and isinstance(error, DECISIONS)
    denied = isinstance(error, (PermissionDenied, Unauthenticated))
    return denied or (not rule.refusals_only and isinstance(error, DECISIONS))


async def _send(answer: Any, running: Call) -> None:
    """Send an answer of a stream; returns when the reader has room for the next.

    Raises: ReaderTooSlow when the reader has none for as long as the call allows.
    """
    try:
        async with asyncio.timeout(running.send_limit_s):
            await running.grpc.write(answer)
    except TimeoutError as error:
        raise ReaderTooSlow("nothing was read from the stream for too long") from error


class _Intercepted(grpc.GenericRpcHandler):
    """A servicer's methods as they were wrapped, each when it is called first."""

    def __init__(
        self,
        inner: grpc.GenericRpcHandler,
        intercepted: Callable[[str, Handler], Handler | None],
    ) -> None:
        self._inner = inner
        self._intercepted = intercepted
        self._handlers: dict[str, Handler] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The handler of a method; None for an unknown one."""
        method = handler_call_details.method
        known = self._handlers.get(method)
        if known is None:
            handler = self._inner.service(handler_call_details)
            known = None if handler is None else self._intercepted(method, handler)
            if known is not None:
                self._handlers[method] = known
        return known


def _kept(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any]:
    """A deserializer that returns its error, for the call to refuse.

    Raised there it would pass the interceptor by: gRPC tells the client the exception's own text.
    """

    def deserialized(data: bytes) -> Any:
        try:
            return deserialize(data) if deserialize else data
        except DecodeError as error:
            return error

    return deserialized


def _readable(request: Message | DecodeError) -> Message:
    """Raises: RequestUnreadable for what `_kept` has kept."""
    if isinstance(request, DecodeError):
        raise RequestUnreadable(UNREADABLE) from request
    return request


def _begin(context: Context, rule: Rule) -> Call:
    """Start the call. A client's own request id is kept if it is safe to log."""
    metadata = {
        key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)
    }
    given = metadata.get("x-request-id", "")
    # Whoever guesses a request id has gained nothing: it needs no system call.
    request_id = given if REQUEST_ID.fullmatch(given) else f"{getrandbits(REQUEST_ID_BITS):032x}"
    call = Call(request_id, metadata, context, rule.action)
    begin(call)
    return call
