"""Traces: from the producer's receipt of an event, through Kafka, to the gateway's sockets.

A trace begins with a round of events that the producer publishes; `TAPEREADER_TRACE_SAMPLE_RATIO` of
them are sampled and the others leave nothing behind, neither spans nor headers. A sampled context
travels in the record header `traceparent` (https://www.w3.org/TR/trace-context/): on the first record
of a Kafka record batch, so that a reader looks at one record per batch; on the last record of a flush,
beside the offsets it covers.

A batch that holds several sampled contexts is one span: child of the first, linked to all
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/).

`opentelemetry-instrumentation-aiokafka` is not switched on in these processes: its `getmany` makes a
span for every record, sampled or not (`benchmarks/tracing.py` says what that costs), and neither our
consumer thread nor `send_batch` passes through what it wraps.
"""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import clock
from app.observability.meters import resource
from app.settings import Settings

#: The record header that carries a sampled context.
TRACE_HEADER: Final = "traceparent"

#: Contexts of one batch that its span links to; more would say no more.
MOST_LINKS: Final = 32

_propagator = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None
_tracer: trace.Tracer = trace.NoOpTracer()


class SpanFile(SpanExporter):
    """Appends spans to a file, one JSON object a line. Several processes may share the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._lock = path, threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append spans."""
        lines = "".join(json.dumps(json.loads(span.to_json(indent=None))) + "\n" for span in spans)
        # One write in append mode: lines of several processes do not mix.
        with self._lock, self._path.open("ab", buffering=0) as file:
            file.write(lines.encode())
        return SpanExportResult.SUCCESS


def configure(settings: Settings, service: str) -> None:
    """Trace this process as the settings say; with a ratio of 0 nothing is traced and nothing is looked at."""
    if settings.trace_sample_ratio <= 0:
        return
    exporters: list[SpanExporter] = []
    if settings.trace_file is not None:
        exporters.append(SpanFile(settings.trace_file))
    if settings.otlp_endpoint is not None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporters.append(OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"))
    provider = TracerProvider(
        resource=resource(settings, service),
        sampler=ParentBased(TraceIdRatioBased(settings.trace_sample_ratio)),
        shutdown_on_exit=False,
    )
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=2000))
    use(provider)


def use(provider: TracerProvider | None) -> None:
    """Trace with a provider; None switches tracing off."""
    global _provider, _tracer
    _provider = provider
    _tracer = trace.NoOpTracer() if provider is None else provider.get_tracer("tapereader")


def enabled() -> bool:
    """Whether this process traces: whether headers are worth looking at."""
    return _provider is not None


def close() -> None:
    """Write the spans that wait to their exporters."""
    if _provider is not None:
        _provider.shutdown()


@contextmanager
def root(name: str, *, start_ns: int | None = None) -> Iterator[Span]:
    """A new trace, sampled by the settings' ratio; the current span while the context lasts."""
    with _tracer.start_as_current_span(name, Context(), SpanKind.PRODUCER, start_time=start_ns) as span:
        yield span


@contextmanager
def continued(name: str, headers: Sequence[bytes], **attributes: str | int) -> Iterator[Span]:
    """A span that goes on with the contexts in some headers; without any, nothing."""
    if not headers or _provider is None:
        yield trace.INVALID_SPAN
        return
    found = [context_of(header) for header in headers[:MOST_LINKS]]
    links = [Link(trace.get_current_span(each).get_span_context()) for each in found]
    with _tracer.start_as_current_span(
        name, found[0], SpanKind.CONSUMER, links=links, attributes={"messaging.system": "kafka", **attributes}
    ) as span:
        yield span


def current_header() -> bytes | None:
    """The current context as a header's value; None where it is not sampled."""
    if _provider is None or not trace.get_current_span().get_span_context().trace_flags.sampled:
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier[TRACE_HEADER].encode()


def context_of(header: bytes) -> Context:
    """The context in a header; an empty one where the header holds none."""
    return _propagator.extract({TRACE_HEADER: header.decode("ascii", "replace")}, Context())


def finished(name: str, parent: bytes | None, start_ns: int, **attributes: str | int) -> None:
    """Record a span that began at a time and ends now, below the context in a header; without one, nothing."""
    if parent is None or _provider is None:
        return
    span = _tracer.start_span(name, context_of(parent), SpanKind.PRODUCER, attributes, start_time=start_ns)
    span.end(clock.wall_ns())


def header_in(headers: Any) -> bytes | None:
    """The header's value among a record's headers; None where there is none."""
    for name, value in headers:
        if name == TRACE_HEADER:
            return bytes(value)
    return None


def headers_in(records: Sequence[Any]) -> list[bytes]:
    """The contexts that some records carry."""
    return [value for record in records if record.headers and (value := header_in(record.headers)) is not None]


def ids() -> dict[str, str]:
    """Trace and span of the current context, for logs; empty where none is sampled."""
    span = trace.get_current_span(contexts.get_current()).get_span_context()
    if not span.trace_flags.sampled:
        return {}
    return {"trace_id": trace.format_trace_id(span.trace_id), "span_id": trace.format_span_id(span.span_id)}
