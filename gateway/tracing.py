"""OpenTelemetry's traces, off unless its own environment variables ask for them.

Only where they do is its SDK imported. What is missing or cannot be used costs the traces and one
line of log: no call depends on them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from broker.errors import SwitchboardError
from broker.tracing import Kind, Span, Traces

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
LAST_S = 1.0
FAILED = "failed"
"""The code of a span whose work ended by what is no error of ours."""

_current: ContextVar[str | None] = ContextVar("trace", default=None)


class OpenTelemetry:
    """Spans of one part of the deployment, given to a processor of OpenTelemetry's SDK.

    The process that made it closes it.
    """

    def __init__(self, part: str, processor: SpanProcessor) -> None:
        from opentelemetry import context, trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = os.environ.get("OTEL_SERVICE_NAME", "switchboard")
        resource = Resource.create({"service.name": named, "switchboard.part": part})
        # Its own end at exit waits for a collector that may be gone; `close` is bounded.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("switchboard")
        self._propagator = TraceContextTextMapPropagator()
        self._nowhere = context.Context()
        self._kinds = {"server": trace.SpanKind.SERVER, "client": trace.SpanKind.CLIENT}

    def close(self) -> None:
        """Give away what is left, as far as that is done within `LAST_S`. Blocks so long."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(LAST_S)

    def begin(self, name: str, kind: Kind, context: str | None = None, **facts: str) -> Span:
        within = self._nowhere
        if context is not None:
            within = self._propagator.extract({"traceparent": context}, context=within)
        span = self._tracer.start_span(
            name,
            context=within,
            kind=self._kinds[kind],
            attributes={f"switchboard.{fact}": said for fact, said in facts.items()},
        )
        return _Span(span)


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def context(self) -> str | None:
        told = self._span.get_span_context()
        if not told.trace_flags.sampled:
            return None
        return f"00-{told.trace_id:032x}-{told.span_id:016x}-{told.trace_flags:02x}"

    def end(self, code: str | None = None) -> None:
        if code is not None and self._span.is_recording():
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR))
            self._span.set_attribute("switchboard.code", code)
        if self._span.is_recording():
            self._span.end()


def traces_of(part: str, environment: Mapping[str, str] = os.environ) -> OpenTelemetry | None:
    """Return where this part's spans go, by OpenTelemetry's environment; `None`: nowhere."""
    if not _asked_for(environment):
        return None
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), PROTOCOL)
    if protocol != PROTOCOL:
        logger.warning("no traces: the protocol is not http/protobuf", extra={"given": protocol})
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        logger.warning("no traces: install switchboard[traces]")
        return None
    return OpenTelemetry(part, BatchSpanProcessor(OTLPSpanExporter()))


def _asked_for(environment: Mapping[str, str]) -> bool:
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    listed = environment.get("OTEL_TRACES_EXPORTER", "").split(",")
    exporters = {name.strip() for name in listed} - {""}
    if exporters:
        if others := sorted(exporters - {"otlp", "none"}):
            logger.warning("traces go nowhere but by otlp", extra={"left_out": others})
        return "otlp" in exporters
    return any(environment.get(name) for name in ENDPOINTS)


def apart() -> None:
    """Let the task that calls it belong to no trace.

    It inherited one: a trunk's callbacks, which may have begun it, run in the context in which the
    trunk was dialled.
    """
    _current.set(None)


@contextmanager
def traced(
    traces: Traces | None, name: str, kind: Kind, *, begins: bool = False
) -> Iterator[str | None]:
    """Do something within a span; yields what continues the trace elsewhere.

    There is none without traces, or outside a trace unless this begins one.
    """
    within = _current.get()
    if traces is None or (within is None and not begins):
        yield None
        return
    span = traces.begin(name, kind, within)
    token, code = _current.set(span.context), None
    try:
        yield span.context
    except SwitchboardError as error:
        code = str(error.code)
        raise
    except BaseException:
        code = FAILED
        raise
    finally:
        _current.reset(token)
        span.end(code)
