"""The way of every call: request id, access rule, token, validation, servicer, status, log line.

Nothing else maps errors or aborts: Python's `abort` raises a bare `Exception` (grpc#36009), so a
second place that catches would mistake it for a failure.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, cast

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from smart_audit.core.errors import RequestUnreadable
from smart_audit.core.ids import new_id
from smart_audit.core.rpc import context as call_context
from smart_audit.core.rpc.access import Rule
from smart_audit.core.rpc.status import from_exception, grpc_code
from smart_audit.core.rpc.validation import validate
from smart_audit.core.tokens import TokenMissing, TokenVerifier

log = structlog.get_logger()

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
BEARER = "bearer "
# Answered by grpc's own servicers, for operators and load balancers, without a token.
INFRASTRUCTURE = ("/grpc.health.v1.", "/grpc.reflection.")
UNREADABLE = "the request cannot be read: is a text not UTF-8, or is it nested too deep?"

# Generic in the stubs alone, so quoted.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Servicer: TypeAlias = Callable[[Any, "Context"], Awaitable[Any]]
Metadata = Mapping[str, str]


class Interceptor(grpc.aio.ServerInterceptor):
    """Wraps each unary method; a method without a rule does not exist."""

    def __init__(self, rules: Mapping[str, Rule], verifier: TokenVerifier) -> None:
        self._rules = rules
        self._verifier = verifier
        self._handlers: dict[str, Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Hand out the wrapped handler, or none for an unknown method."""
        method = handler_call_details.method
        if (known := self._handlers.get(method)) is not None:
            return known
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(INFRASTRUCTURE):
            return handler
        if handler.unary_unary is None or method not in self._rules:
            return None
        self._handlers[method] = grpc.unary_unary_rpc_method_handler(
            self._wrapped(method, cast("Servicer", handler.unary_unary)),
            request_deserializer=_kept(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )
        return self._handlers[method]

    def _wrapped(self, method: str, servicer: Servicer) -> Servicer:
        rule = self._rules[method]

        async def call(request: Message | DecodeError, context: Context) -> Any:
            started = time.perf_counter()
            metadata = _metadata(context)
            request_id = _begin(metadata, context)
            code = grpc.StatusCode.OK
            try:
                await self._authenticate(rule, metadata)
                validate(_readable(request))
                return await servicer(request, context)
            except Exception as error:
                status = from_exception(error, request_id)
                code = grpc_code(status)
                if code is grpc.StatusCode.INTERNAL:
                    log.exception("rpc.crashed", method=method)
            except BaseException:
                code = grpc.StatusCode.CANCELLED
                raise
            finally:
                log.info(
                    "rpc.handled",
                    method=method,
                    code=code.name,
                    duration_ms=round((time.perf_counter() - started) * 1000, 2),
                )
            return await context.abort_with_status(rpc_status.to_status(status))

        return call

    async def _authenticate(self, rule: Rule, metadata: Metadata) -> None:
        if rule.public:
            return
        authorization = metadata.get("authorization", "")
        if rule.optional and not authorization:
            return
        if not authorization.lower().startswith(BEARER):
            raise TokenMissing("this needs an access token: send `authorization: Bearer …`")
        caller = await self._verifier.verify(authorization[len(BEARER) :].strip())
        call_context.set_caller(caller)
        structlog.contextvars.bind_contextvars(
            organisation_id=str(caller.organisation_id), subject=caller.subject
        )
        rule.check(caller)


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


def _metadata(context: Context) -> Metadata:
    return {
        key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)
    }


def _begin(metadata: Metadata, context: Context) -> str:
    """Start the call's context. A client's own request id is kept if it is safe to log."""
    given = metadata.get("x-request-id", "")
    request_id = given if REQUEST_ID.fullmatch(given) else str(new_id())
    call_context.begin(request_id, metadata, context.peer())
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id
