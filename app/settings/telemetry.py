"""Logs, metrics and traces."""

from pathlib import Path

from pydantic import BaseModel, Field


class TelemetrySettings(BaseModel):
    """Logs, metrics and traces."""

    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged.")
    log_json: bool | None = Field(None, description="Log JSON; unset: readable at a terminal, JSON otherwise.")
    worker_http_host: str = Field("127.0.0.1", description="Address of a worker's `/metrics` and health.")
    worker_http_port: int = Field(
        0, ge=0, le=65535, description="Port of a worker's `/metrics` and health; 0: a free one, named in its log."
    )
    otlp_endpoint: str | None = Field(
        None, description="OpenTelemetry collector that gets metrics and traces, `http://collector:4318`; unset: none."
    )
    otlp_interval_s: float = Field(15.0, gt=0, description="Time between two exports of metrics to the collector.")
    trace_sample_ratio: float = Field(
        0.0, ge=0, le=1, description="Share of the producer's rounds that are traced, such as 0.01; 0: no tracing."
    )
    trace_file: Path | None = Field(None, description="File to which spans are appended as JSON lines; unset: none.")
