"""A distribution counts as the SDK's own histogram does, and every exporter is given it."""

import math

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import Histogram, InMemoryMetricReader, MetricExporter, MetricExportResult

from app.observability.distributions import Distribution, Distributions, DistributionsExporter

BOUNDS = (0.1, 1.0, 10.0, 100.0)
values = st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 1000)), min_size=1, max_size=50)


@given(values)
def test_it_is_the_sdks_histogram(given: list[float]) -> None:
    """Bucket by bucket, bounds included: what stands in the way of it is only its cost."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    sdk = provider.get_meter("t").create_histogram("h", explicit_bucket_boundaries_advisory=list(BOUNDS))
    mine = Distribution(BOUNDS)
    for value in given:
        sdk.record(value)
        mine.record(value)
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = data.resource_metrics[0].scope_metrics[0].metrics
    assert isinstance(metric.data, Histogram)
    (point,) = metric.data.data_points
    assert mine.counts == list(point.bucket_counts)
    assert (mine.least, mine.greatest) == (point.min, point.max)
    assert math.isclose(mine.total, point.sum, abs_tol=1e-9)
    provider.shutdown()


class Kept(MetricExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.counts: list[int] = []

    def export(self, metrics_data, timeout_millis=10_000, **_):  # type: ignore[no-untyped-def]
        """Keep the names and counts."""
        for scope in metrics_data.resource_metrics[0].scope_metrics:
            for metric in scope.metrics:
                self.names.append(metric.name)
                self.counts += [point.count for point in metric.data.data_points if hasattr(point, "count")]
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        """Nothing to end."""


def test_an_exporter_gets_them_beside_what_the_sdk_has() -> None:
    distributions, kept, reader = Distributions("t"), Kept(), InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("t").create_counter("own").add(1)
    same = distributions.get("ours", "s", "what", BOUNDS, {"table": "quotes"})
    same.record(0.5)
    assert distributions.get("ours", "s", "what", BOUNDS, {"table": "quotes"}) is same
    distributions.get("never", "s", "what", BOUNDS, {})
    data = reader.get_metrics_data()
    assert data is not None
    assert DistributionsExporter(kept, distributions).export(data) is MetricExportResult.SUCCESS
    assert kept.names == ["own", "ours"]
    assert kept.counts == [1]
    provider.shutdown()
