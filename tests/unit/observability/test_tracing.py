"""What is sampled goes on; what is not leaves nothing behind."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased

from app.observability import logs, tracing
from app.settings import Settings

FOREIGN = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Every trace sampled, in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)


def test_off_there_is_neither_a_span_nor_a_header() -> None:
    with tracing.root("receive"):
        assert tracing.current_header() is None
    with tracing.continued("fold", [FOREIGN]):
        assert tracing.current_header() is None
    assert not tracing.enabled()


def test_what_is_not_sampled_leaves_no_header() -> None:
    tracing.use(TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False))
    try:
        with tracing.root("receive"):
            assert tracing.current_header() is None
    finally:
        tracing.use(None)


def test_a_batch_goes_on_with_its_first_trace_and_links_to_all(spans: InMemorySpanExporter) -> None:
    headers = []
    for _ in range(3):
        with tracing.root("receive", start_ns=1):
            header = tracing.current_header()
            assert header is not None
            headers.append(header)
    with tracing.continued("fold", headers, **{"messaging.batch.message_count": 7}):
        below = tracing.current_header()
    tracing.finished("flush", below, 5, **{"messaging.destination.name": "market.quotes"})
    *roots, fold, flush = spans.get_finished_spans()
    assert [root.start_time for root in roots] == [1, 1, 1]
    assert fold.parent is not None
    assert fold.parent.span_id == roots[0].context.span_id
    assert [link.context.trace_id for link in fold.links] == [root.context.trace_id for root in roots]
    assert flush.parent is not None
    assert flush.parent.span_id == fold.context.span_id
    assert flush.context.trace_id == roots[0].context.trace_id


def test_contexts_are_found_on_the_records_that_carry_one() -> None:
    records = [
        SimpleNamespace(headers=()),
        SimpleNamespace(headers=[("received_ns", b"1")]),
        SimpleNamespace(headers=[("covers", b"{}"), (tracing.TRACE_HEADER, FOREIGN)]),
    ]
    assert tracing.headers_in(records) == [FOREIGN]


@pytest.mark.parametrize("header", [b"", b"nonsense", b"\xff\xfe", b"00-0-0-01"])
def test_a_header_that_is_none_begins_no_trace_of_its_own_kind(spans: InMemorySpanExporter, header: bytes) -> None:
    with tracing.continued("fold", [header]):
        pass
    (span,) = spans.get_finished_spans()
    assert span.parent is None


def test_a_line_of_the_log_has_the_ids_of_the_trace(
    spans: InMemorySpanExporter, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure(Settings.load(log_json=True))
    try:
        log = structlog.get_logger()
        with tracing.root("receive"):
            log.info("inside")
        log.info("outside")
    finally:
        structlog.reset_defaults()
    inside, outside = map(json.loads, capfd.readouterr().err.splitlines())
    (span,) = spans.get_finished_spans()
    assert inside["trace_id"] == f"{span.context.trace_id:032x}"
    assert inside["span_id"] == f"{span.context.span_id:016x}"
    assert "trace_id" not in outside


def test_spans_of_processes_share_a_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    settings = Settings.load(trace_sample_ratio=1.0, trace_file=path)
    for service in ("producer", "worker"):
        tracing.configure(settings, service)
        with tracing.root(f"of {service}"):
            pass
        tracing.close()
    tracing.use(None)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["name"] for line in lines] == ["of producer", "of worker"]
    assert [line["resource"]["attributes"]["service.name"] for line in lines] == ["producer", "worker"]
