"""What the cache did, counted twice: as numbers that this process can show, and as metrics.

Metrics go to whatever OpenTelemetry SDK the process has set up, or nowhere. No symbol is ever an
attribute.
"""

from typing import Self

from msgspec import Struct
from opentelemetry import metrics

from app.reference.records import Kind

METER_NAME = "tapereader.reference"


class LayerCounts(Struct):
    """Hits and misses of a layer. `negative_hits` (known to be missing) are hits too."""

    hits: int = 0
    misses: int = 0
    negative_hits: int = 0

    @property
    def hit_rate(self) -> float | None:
        """Share of requests that the layer answered, None before the first one."""
        total = self.hits + self.misses
        return self.hits / total if total else None


class Statistics(Struct):
    """Counts since the process began.

    `rest_requests` are HTTP exchanges, retries included. `coalesced` are requests that shared one
    in flight in this process, `followed` those that waited for another process, `takeovers` those
    that went on after a leader had failed, `locks_lost` locks that ran out under a running request,
    `undecodable` values in Redis that were not ours.
    """

    memory: LayerCounts
    redis: LayerCounts
    reads: int = 0
    writes: int = 0
    deletes: int = 0
    broadcasts: int = 0
    invalidations: int = 0
    stale_serves: int = 0
    unavailable: int = 0
    coalesced: int = 0
    followed: int = 0
    takeovers: int = 0
    refreshes: int = 0
    locks_lost: int = 0
    undecodable: int = 0
    rest_requests: int = 0
    rest_errors: int = 0
    redis_errors: int = 0

    @classmethod
    def new(cls) -> Self:
        """All zero."""
        return cls(memory=LayerCounts(), redis=LayerCounts())

    def add(self, other: "Statistics") -> None:
        """Add another process's counts."""
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, LayerCounts):
                for part in mine.__struct_fields__:
                    setattr(mine, part, getattr(mine, part) + getattr(theirs, part))
            else:
                setattr(self, name, mine + theirs)


class Report(Struct, frozen=True):
    """Statistics of one process or of several, with the hit rates of the layers (0 to 1)."""

    processes: int
    counts: Statistics
    memory_hit_rate: float | None
    redis_hit_rate: float | None
    memory_entries: int | None = None
    redis_up: bool | None = None

    @classmethod
    def of(
        cls, counts: Statistics, processes: int, *, memory_entries: int | None = None, redis_up: bool | None = None
    ) -> Self:
        """The report on some counts."""
        rates = counts.memory.hit_rate, counts.redis.hit_rate
        return cls(processes, counts, *rates, memory_entries=memory_entries, redis_up=redis_up)


class Instruments:
    """The metrics of MarketDataCache, by the names that the dashboards know."""

    def __init__(self, provider: metrics.MeterProvider | None = None) -> None:
        meter = (provider or metrics.get_meter_provider()).get_meter(METER_NAME)

        def counter(name: str, what: str) -> metrics.Counter:
            made = meter.create_counter(f"mdc.{name}", unit="1", description=what)
            made.add(0)  # a series that is missing until the first event cannot be alerted on
            return made

        self.read = counter("read", "reads of any key")
        self.write = counter("write", "writes")
        self.broadcast = counter("broadcast", "messages published")
        self.delete = counter("delete", "keys deleted")
        self.delete_ticker_snapshot = counter("delete_ticker_snapshot", "snapshots deleted")
        self.hit = counter("hit", "requests answered by memory or Redis")
        self.negative_hit = counter("negative_hit", "requests answered by what is known to be missing")
        self.miss = counter("miss", "requests that neither memory nor Redis answered")
        self.stale = counter("stale", "requests answered by an older value because REST or Redis is down")
        self.error = counter("error", "failures of any sort, those of Redis included")
        self.timeout_error = counter("timeout_error", "REST requests that timed out")
        self.http_error = counter("http_error", "REST requests that got an HTTP error")
        self.get = {
            Kind.SNAPSHOT: counter("get_ticker_snapshot", "requests for a snapshot"),
            Kind.AVG_VOLUME: counter("get_avg_volume", "requests for an average volume"),
            Kind.FREE_FLOAT: counter("get_free_float", "requests for a free float"),
        }
        names = {Kind.SNAPSHOT: "snapshot", Kind.AVG_VOLUME: "avg_volume", Kind.FREE_FLOAT: "free_float"}
        self.api_duration = {
            kind: meter.create_histogram(
                f"mdc.{name}_api_duration", unit="s", description="duration of one REST exchange, queueing left out"
            )
            for kind, name in names.items()
        }
