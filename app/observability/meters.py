"""Records what `app.observability.metrics` declares, and hands it to Prometheus and OpenTelemetry.

Nothing is counted per event. Counters and gauges are read from what the process knows when someone
asks (`Meters.observe`); histograms are recorded once per batch (`distribution`).
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import psutil
from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, Histogram, Observation
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from app import __version__
from app.observability.distributions import Distribution, Distributions, DistributionsExporter, PrometheusReader
from app.observability.metrics import PROCESS_CPU, PROCESS_MEMORY, Kind, Metric
from app.settings import Settings

METER: Final = "tapereader"

#: What a callback of an observed metric gives: a value and its attributes.
Reading = tuple[float, Mapping[str, str | int]]

_distributions: Final = Distributions(METER)


def distribution(metric: Metric, attributes: Mapping[str, str] | None = None) -> Distribution:
    """The process's distribution of a histogram with these attributes; the same one for the same attributes."""
    return _distributions.get(metric.name, metric.unit, metric.describes, metric.buckets, attributes or {})


def histogram(metric: Metric, provider: api.MeterProvider | None = None) -> Histogram:
    """The SDK's instrument of a histogram that is seldom recorded; nothing comes of it without a `Meters`."""
    meter = (provider or api.get_meter_provider()).get_meter(METER)
    return meter.create_histogram(
        metric.name, metric.unit, metric.describes, explicit_bucket_boundaries_advisory=list(metric.buckets)
    )


def counter(metric: Metric, provider: api.MeterProvider | None = None) -> api.Counter:
    """The instrument of a counter that is counted, not observed; it stands at 0 from the start."""
    made = (
        (provider or api.get_meter_provider())
        .get_meter(METER)
        .create_counter(metric.name, metric.unit, metric.describes)
    )
    made.add(0)  # a series that is missing until the first event cannot be alerted on
    return made


class Meters:
    """A process's metrics: for Prometheus at `/metrics`, and by OTLP where the settings name a collector.

    `service` is the process's name. With `install` the whole process records here: once per process.
    """

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self, settings: Settings, service: str, *, install: bool = True) -> None:
        self._registry = CollectorRegistry()
        readers: list[MetricReader] = [PrometheusReader(_distributions, registry=self._registry)]
        if settings.otlp_endpoint is not None:
            readers.append(_otlp_reader(settings))
        self.provider = MeterProvider(
            readers, resource(settings, service), AlwaysOffExemplarFilter(), shutdown_on_exit=False
        )
        if install:
            api.set_meter_provider(self.provider)
        process = psutil.Process()
        self.observe(PROCESS_CPU, lambda: [(sum(process.cpu_times()[:2]), {})])
        self.observe(PROCESS_MEMORY, lambda: [(process.memory_info().rss, {})])

    def observe(self, metric: Metric, read: Callable[[], Iterable[Reading]]) -> None:
        """Have a counter or a gauge read whenever someone asks; `read` gives a value for each set of attributes."""

        def callback(_: CallbackOptions) -> Sequence[Observation]:
            return [Observation(value, dict(attributes)) for value, attributes in read()]

        meter = self.provider.get_meter(METER)
        make: Any = meter.create_observable_gauge
        if metric.kind is Kind.COUNTER:
            make = meter.create_observable_counter
        make(metric.name, [callback], metric.unit, metric.describes)

    def exposition(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)

    def close(self) -> None:
        """Send what is left to the collector, and end."""
        self.provider.shutdown()


def resource(settings: Settings, service: str) -> Resource:
    """Who speaks, by OpenTelemetry's conventions."""
    return Resource.create(
        {
            "service.namespace": "tapereader",
            "service.name": service,
            "service.version": __version__,
            "service.instance.id": f"{os.uname().nodename}:{os.getpid()}",
            "messaging.consumer.group.name": settings.app_id,
        }
    )


def _otlp_reader(settings: Settings) -> MetricReader:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(endpoint=f"{(settings.otlp_endpoint or '').rstrip('/')}/v1/metrics")
    return PeriodicExportingMetricReader(
        DistributionsExporter(exporter, _distributions), export_interval_millis=settings.otlp_interval_s * 1000
    )
