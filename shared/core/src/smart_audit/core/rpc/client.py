"""Channels to other services."""

from collections.abc import Callable
from typing import Any, cast

import grpc
import grpc.aio

from smart_audit.core import tracing

_OPTIONS = [
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


def open_channel(
    address: str, credentials: grpc.ChannelCredentials | None = None
) -> grpc.aio.Channel:
    """A channel to `host:port`, or to several `ip:port` by commas, in turn; by TLS if credentials.

    After an outage it tries again within a second, not within gRPC's default of two minutes.
    """
    scheme = "ipv4:" if "," in address else "dns:///"
    target = f"{scheme}{address}"
    traced = [_Traced()] if tracing.is_on() else None
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS, interceptors=traced)
    return grpc.aio.secure_channel(target, credentials, options=_OPTIONS, interceptors=traced)


class _Traced(grpc.aio.UnaryUnaryClientInterceptor):
    """A span for each call within a trace, which the other service goes on with."""

    async def intercept_unary_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        """See `grpc.aio.UnaryUnaryClientInterceptor`."""
        method = client_call_details.method
        name = method.decode() if isinstance(method, bytes) else method
        headers: dict[str, str] = {}
        with tracing.calling(name, headers) as span:
            if span is None:
                return await continuation(client_call_details, request)
            metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()), *headers.items())
            # A named tuple, which its stubs do not know.
            details = cast("Any", client_call_details)._replace(metadata=metadata)
            call = await continuation(details, request)
            code = await call.code()
            span.set_attribute("rpc.grpc.status_code", code.value[0])
            return call
