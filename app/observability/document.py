"""The document of the metrics, made from their declarations.

    python -m app.observability.document docs/metrics.md

A test compares the file with the code.
"""

import sys
from pathlib import Path

from app.observability import metrics
from app.observability.metrics import Kind, Metric, Part

_HEAD = """\
# Metrics

Made from `app/observability/metrics.py` by `python -m app.observability.document docs/metrics.md`; a test compares
the two.

Every process answers `GET /metrics` in Prometheus's text format: the gateway on its port, the producer on
its control port (`TAPEREADER_CONTROL_PORT`), a worker on `TAPEREADER_WORKER_HTTP_PORT` (0: a free port,
which its log names), the simulator on its port. With `TAPEREADER_OTLP_ENDPOINT=http://collector:4318` the
same go to an OpenTelemetry collector every `TAPEREADER_OTLP_INTERVAL_S` seconds. Names and units follow
OpenTelemetry's conventions; at `/metrics` dots are underscores and units are spelt out. A histogram has the
series `…_bucket`, `…_sum` and `…_count`.

Nothing is counted per event: counters and gauges are read when someone asks, histograms take a value per
batch. No symbol is ever an attribute. The dashboard in `helm/dashboards` and the rules in `helm/rules` use
nothing else.
"""


def render() -> str:
    """The document as Markdown."""
    sections = [_HEAD]
    for part in Part:
        rows = [_row(metric) for metric in metrics.ALL if part in metric.parts]
        head = "| metric | at `/metrics` | kind | unit | attributes | what it says |\n|---|---|---|---|---|---|\n"
        sections.append(f"## {part.value[0].upper()}{part.value[1:]}\n" + head + "\n".join(rows) + "\n")
    return "\n".join(sections)


def _row(metric: Metric) -> str:
    attributes = ", ".join(f"`{name}`" for name in metric.attributes) or "–"
    kind = metric.kind.value
    if metric.kind is Kind.HISTOGRAM:
        kind += f", {metric.buckets[0]:g} to {metric.buckets[-1]:g}"
    return (
        f"| `{metric.name}` | `{metric.prometheus_name}` | {kind} | {metric.unit} | {attributes} | {metric.describes} |"
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
