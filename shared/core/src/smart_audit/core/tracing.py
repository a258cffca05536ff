"""Traces by OpenTelemetry: spans of calls, of statements, of what is done later on their behalf.

Off unless a collector is named. Nothing of OpenTelemetry is imported then, and each place below
costs a look at one variable. Nothing begins a trace but a call: what runs beside them would only be
noise. Spans hold methods, codes and statements, and no values.

Made by hand: the instrumentation of grpc's aio servers that OpenTelemetry has fails on handlers
that are coroutines, and the one of SQLAlchemy does not know its version 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

# What tells of a defect of the server and not of its caller.
SERVER_ERRORS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE"}
HEADER = "traceparent"
SPAN = "smart_audit.span"

_tracer: Tracer | None = None


@contextmanager
def exporting(service: str, endpoint: str) -> Iterator[None]:
    """Trace meanwhile, and send spans by OTLP over gRPC; nothing without an endpoint.

    endpoint: an http:// or https:// URL. What else there is to say, OpenTelemetry reads from the
    environment itself (`OTEL_*`).
    """
    if not endpoint:
        yield
        return
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    global _tracer  # noqa: PLW0603
    resource = Resource.create(
        {
            "service.name": f"smart-audit-{service}",
            "service.version": version("smart-audit-core"),
        }
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint, insecure=endpoint.startswith("http://"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracer = provider.get_tracer("smart_audit.core")
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()


def is_on() -> bool:
    """Whether there is anybody to trace for."""
    return _tracer is not None


class Serving(NamedTuple):
    """The span of a call that is served."""

    span: Span
    token: Token[Context]

    def end(self, code: str, number: int, request_id: str) -> None:
        """End it with the gRPC code of the answer, by name and number."""
        from opentelemetry import context, trace  # noqa: PLC0415

        self.span.set_attribute("rpc.grpc.status_code", number)
        self.span.set_attribute("smart_audit.request_id", request_id)
        if code in SERVER_ERRORS:
            self.span.set_status(trace.StatusCode.ERROR, code)
        context.detach(self.token)
        self.span.end()


def serving(method: str, metadata: Mapping[str, str]) -> Serving | None:
    """Begin the span of a call, in the trace that its metadata name; None without tracing."""
    if _tracer is None:
        return None
    from opentelemetry import context, trace  # noqa: PLC0415

    span = _tracer.start_span(
        method.removeprefix("/"),
        _from(metadata.get(HEADER)),
        kind=trace.SpanKind.SERVER,
        attributes=_of_call(method),
    )
    return Serving(span, context.attach(trace.set_span_in_context(span)))


@contextmanager
def calling(method: str, headers: MutableMapping[str, str]) -> Iterator[Span | None]:
    """The span of a call to another service, within a trace; its headers hand the trace on."""
    if _tracer is None or not _current().is_recording():
        yield None
        return
    from opentelemetry import trace  # noqa: PLC0415

    with _tracer.start_as_current_span(
        method.removeprefix("/"),
        kind=trace.SpanKind.CLIENT,
        attributes=_of_call(method),
        record_exception=False,
    ) as span:
        headers[HEADER] = here() or ""
        yield span


def here() -> str | None:
    """The running span, as W3C's `traceparent` writes it; None when nothing is traced."""
    if _tracer is None:
        return None
    found = _current().get_span_context()
    if not found.is_valid or not found.trace_flags.sampled:
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


@contextmanager
def following(name: str, origins: Iterable[str | None], **attributes: str | int) -> Iterator[None]:
    """The span of what is done once for several calls, and maybe later.

    origins: what `here` gave in each of them. It belongs to the trace of the first, and has links
    to the others.
    """
    known = list(dict.fromkeys(origin for origin in origins if origin)) if _tracer else []
    if _tracer is None or not known:
        yield
        return
    from opentelemetry import trace  # noqa: PLC0415

    others = [trace.get_current_span(_from(origin)).get_span_context() for origin in known[1:]]
    with _tracer.start_as_current_span(
        name,
        _from(known[0]),
        links=[trace.Link(other) for other in others],
        attributes=attributes,
        record_exception=False,
    ):
        yield


def ids() -> tuple[str, str] | None:
    """Trace and span that run, in hexadecimal, for the log."""
    if _tracer is None:
        return None
    found = _current().get_span_context()
    return (f"{found.trace_id:032x}", f"{found.span_id:016x}") if found.is_valid else None


def watch_statements(engine: Engine) -> None:
    """A span for each statement within a trace: its text with placeholders, never a value."""
    if _tracer is None:
        return

    def before(
        _connection: Any, _cursor: Any, statement: str, _values: Any, running: Any, _many: Any
    ) -> None:
        if _tracer is not None and _current().is_recording():
            setattr(running, SPAN, _begin_statement(_tracer, statement))

    def after(
        _connection: Any, _cursor: Any, _statement: Any, _values: Any, running: Any, _many: Any
    ) -> None:
        _end_statement(running, failed=False)

    def failed(caught: Any) -> None:
        _end_statement(caught.execution_context, failed=True)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)


def _begin_statement(tracer: Tracer, statement: str) -> Span:
    from opentelemetry import trace  # noqa: PLC0415

    operation = statement.split(maxsplit=1)[0].upper()
    return tracer.start_span(
        operation,
        kind=trace.SpanKind.CLIENT,
        attributes={
            "db.system.name": "postgresql",
            "db.operation.name": operation,
            "db.query.text": statement,
        },
    )


def _end_statement(running: Any, *, failed: bool) -> None:
    from opentelemetry import trace  # noqa: PLC0415

    span = getattr(running, SPAN, None)
    if span is not None:
        delattr(running, SPAN)
        if failed:
            span.set_status(trace.StatusCode.ERROR)
        span.end()


def _current() -> Span:
    from opentelemetry import trace  # noqa: PLC0415

    return trace.get_current_span()


def _from(origin: str | None) -> Context:
    """The context that a `traceparent` names; an empty one if it is none."""
    from opentelemetry.context import Context  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    carrier = {HEADER: origin} if origin else {}
    return TraceContextTextMapPropagator().extract(carrier, Context())


def _of_call(method: str) -> dict[str, str]:
    service, _, name = method.removeprefix("/").partition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
