"""What the cache did, counted twice: as numbers that this process can show, and as metrics.

Metrics go to whatever OpenTelemetry SDK the process has set up, or nowhere. No symbol is ever an
attribute.
"""

from typing import Self

from msgspec import Struct
from opentelemetry.metrics import Counter, MeterProvider

from app.observability import meters, metrics
from app.reference.records import Kind


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

    def __init__(self, provider: MeterProvider | None = None) -> None:
        def counter(metric: metrics.Metric) -> Counter:
            return meters.counter(metric, provider)

        self.read = counter(metrics.CACHE_READ)
        self.write = counter(metrics.CACHE_WRITE)
        self.broadcast = counter(metrics.CACHE_BROADCAST)
        self.delete = counter(metrics.CACHE_DELETE)
        self.delete_ticker_snapshot = counter(metrics.CACHE_DELETE_SNAPSHOT)
        self.hit = counter(metrics.CACHE_HIT)
        self.negative_hit = counter(metrics.CACHE_NEGATIVE_HIT)
        self.miss = counter(metrics.CACHE_MISS)
        self.stale = counter(metrics.CACHE_STALE)
        self.error = counter(metrics.CACHE_ERROR)
        self.timeout_error = counter(metrics.CACHE_TIMEOUT_ERROR)
        self.http_error = counter(metrics.CACHE_HTTP_ERROR)
        self.get = {
            Kind.SNAPSHOT: counter(metrics.CACHE_GET_SNAPSHOT),
            Kind.AVG_VOLUME: counter(metrics.CACHE_GET_AVG_VOLUME),
            Kind.FREE_FLOAT: counter(metrics.CACHE_GET_FREE_FLOAT),
        }
        self.api_duration = {
            Kind.SNAPSHOT: meters.histogram(metrics.CACHE_SNAPSHOT_DURATION, provider),
            Kind.AVG_VOLUME: meters.histogram(metrics.CACHE_AVG_VOLUME_DURATION, provider),
            Kind.FREE_FLOAT: meters.histogram(metrics.CACHE_FREE_FLOAT_DURATION, provider),
        }
