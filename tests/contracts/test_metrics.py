"""Every metric is declared once; the document, the dashboard and the alert rules know no other."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.gateway.protocol.messages import Close
from app.observability import document as metrics_document
from app.observability import metrics
from app.observability.meters import Meters, distribution
from app.observability.metrics import Kind, Metric
from app.settings import Settings

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "helm" / "dashboards" / "tapereader.json"
RULES = ROOT / "helm" / "rules" / "tapereader.yaml"

#: Words of PromQL that look like a metric or a label.
PROMQL = {
    "sum", "by", "rate", "increase", "histogram_quantile", "max", "count", "delta", "and", "on", "le", "job",
    "instance", "label_values", "prometheus",
}  # fmt: skip
SERIES = {series for metric in metrics.ALL for series in metric.series}
LABELS = {name.replace(".", "_") for metric in metrics.ALL for name in metric.attributes}


def names_in(expression: str) -> set[str]:
    """What a PromQL expression names: metrics, labels, functions."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    return set(re.findall(r"(?<![\w$.])[a-zA-Z_:][\w:]*", bare))


def expressions(node: Any) -> list[str]:
    """Every `expr` below a node, and the queries of variables."""
    if isinstance(node, list):
        return [found for each in node for found in expressions(each)]
    if not isinstance(node, dict):
        return []
    own = [node[name] for name in ("expr", "query") if isinstance(node.get(name), str)]
    return own + [found for each in node.values() for found in expressions(each)]


def test_the_document_is_what_the_declarations_make() -> None:
    """Made anew by `python -m app.observability.document docs/metrics.md`."""
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics_document.render()


def test_every_name_is_declared_once() -> None:
    names = [metric.name for metric in metrics.ALL]
    assert len(names) == len(set(names))
    assert len(SERIES) == sum(len(metric.series) for metric in metrics.ALL), "two metrics share a series"


@pytest.mark.parametrize("metric", metrics.ALL, ids=lambda metric: metric.name)
def test_names_follow_the_conventions(metric: Metric) -> None:
    """Lower case, words by dots and underscores, no unit and no `total` in a name; a unit from UCUM."""
    assert re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", metric.name)
    assert not re.search(r"(total|seconds|bytes|_ms|_ns|count)$", metric.name)
    assert re.fullmatch(r"1|s|By|\{[a-z]+\}", metric.unit)
    assert metric.describes
    assert metric.parts
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert "symbol" not in "".join(metric.attributes)


def test_a_process_shows_each_metric_under_its_documented_name() -> None:
    meters = Meters(Settings.load(), "test", install=False)
    try:
        for number, metric in enumerate(metrics.ALL, 2):
            attributes = dict.fromkeys(metric.attributes, "x")
            if metric in (metrics.PROCESS_CPU, metrics.PROCESS_MEMORY):
                continue
            if metric.kind is Kind.HISTOGRAM:
                distribution(metric, attributes).record(number)
            else:
                meters.observe(metric, lambda number=number, attributes=attributes: [(number, attributes)])  # type: ignore[misc]
        text = meters.exposition().decode()
    finally:
        meters.close()
    found = {sample.name: sample for family in text_string_to_metric_families(text) for sample in family.samples}
    assert found.keys() >= SERIES
    for number, metric in enumerate(metrics.ALL, 2):
        sample = found[metric.series[1] if metric.kind is Kind.HISTOGRAM else metric.series[0]]
        assert set(sample.labels) == {name.replace(".", "_") for name in metric.attributes}
        if metric not in (metrics.PROCESS_CPU, metrics.PROCESS_MEMORY):
            assert sample.value >= number


def test_the_dashboard_uses_only_metrics_that_there_are() -> None:
    used = {name for each in expressions(json.loads(DASHBOARD.read_text(encoding="utf-8"))) for name in names_in(each)}
    assert used - PROMQL - LABELS <= SERIES
    assert len(used & SERIES) > 30


def test_the_dashboard_shows_every_declared_metric_that_has_a_story() -> None:
    """What nobody looks at is not worth its series: all but a few are on the dashboard or in a rule."""
    text = DASHBOARD.read_text(encoding="utf-8") + RULES.read_text(encoding="utf-8")
    unused = {metric.name for metric in metrics.ALL if metric.prometheus_name not in text}
    assert unused <= {
        "tapereader.producer.feed.connections", "tapereader.producer.publish.duration", "tapereader.flush.size",
        *(metric.name for metric in metrics.ALL if metric.name.startswith("mdc.")),
    }  # fmt: skip


def test_the_rules_use_only_metrics_that_there_are() -> None:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        used = names_in(rule["expr"])
        assert used - PROMQL - LABELS <= SERIES, rule["alert"]
        assert used & SERIES, rule["alert"]
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= LABELS | {"job", "instance"}


def test_the_rule_on_slow_clients_names_the_code_that_closes_them() -> None:
    assert f'websocket_close_code="{int(Close.SLOW)}"' in RULES.read_text(encoding="utf-8")
