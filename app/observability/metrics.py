"""Every metric, declared once, as values: name, unit, kind, attributes, meaning.

Names and units follow OpenTelemetry's conventions (https://opentelemetry.io/docs/specs/semconv/general/metrics/);
`messaging.*`, `process.*` and `http.*` are the conventions' own. `docs/metrics.md` is made from this list,
`app.observability.meters` records them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
RECORDS: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 30_000.0)


class Kind(StrEnum):
    """What a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Part(StrEnum):
    """Who has a metric."""

    ALL = "every process"
    PRODUCER = "producer"
    WORKER = "worker"
    GATEWAY = "gateway"
    CACHE = "whoever opens MarketDataCache"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric. `buckets` are the upper bounds of a histogram, in its unit."""

    name: str
    kind: Kind
    unit: str
    describes: str
    parts: tuple[Part, ...]
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] = SECONDS

    @property
    def prometheus_name(self) -> str:
        """The name at `/metrics`; histograms add `_bucket`, `_sum` and `_count` to it."""
        name = self.name.replace(".", "_")
        suffix = _PROMETHEUS_UNITS.get(self.unit, "")
        if suffix and not name.endswith(suffix):
            name = f"{name}_{suffix}"
        return f"{name}_total" if self.kind is Kind.COUNTER else name

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its series at `/metrics`."""
        name = self.prometheus_name
        return (f"{name}_bucket", f"{name}_sum", f"{name}_count") if self.kind is Kind.HISTOGRAM else (name,)


_PROMETHEUS_UNITS: Final = {"s": "seconds", "By": "bytes"}

TOPIC, PARTITION = "messaging.destination.name", "messaging.destination.partition.id"
TABLE, EVENT_TYPE, CLOSE_CODE = "tapereader.table", "tapereader.event.type", "websocket.close.code"
ERROR_TYPE: Final = "error.type"
BAR_KIND: Final = "tapereader.bar.kind"
ANSWER: Final = "tapereader.feed.answer"

_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

PROCESS_CPU = Metric("process.cpu.time", _COUNTER, "s", "processor time, user and system", (Part.ALL,))
PROCESS_MEMORY = Metric("process.memory.usage", _GAUGE, "By", "resident memory", (Part.ALL,))
READY = Metric("tapereader.ready", _GAUGE, "1", "1 while `/readyz` says ready, else 0", (Part.ALL,))
CONSUMED = Metric(
    "messaging.client.consumed.messages", _COUNTER, "{message}", "records read, by topic",
    (Part.WORKER, Part.GATEWAY), (TOPIC,),
)  # fmt: skip
SENT = Metric(
    "messaging.client.sent.messages", _COUNTER, "{message}", "records that Kafka acknowledged, by topic",
    (Part.PRODUCER, Part.WORKER), (TOPIC,),
)  # fmt: skip

# The producer
EVENTS_RECEIVED = Metric(
    "tapereader.producer.events.received", _COUNTER, "{event}", "events that the feed brought",
    (Part.PRODUCER,), (EVENT_TYPE,),
)  # fmt: skip
EVENTS_DROPPED = Metric(
    "tapereader.producer.events.dropped", _COUNTER, "{event}", "events dropped because the buffer was full",
    (Part.PRODUCER,), (EVENT_TYPE,),
)  # fmt: skip
EVENTS_RESENT = Metric(
    "tapereader.producer.events.resent", _COUNTER, "{event}", "events sent again since the broker refused them",
    (Part.PRODUCER,),
)  # fmt: skip
EVENTS_WAITING = Metric(
    "tapereader.producer.events.waiting", _GAUGE, "{event}", "events received and not acknowledged by Kafka",
    (Part.PRODUCER,),
)  # fmt: skip
CONNECTIONS = Metric(
    "tapereader.producer.feed.connections", _COUNTER, "{connection}", "connections to the feed since the start",
    (Part.PRODUCER,),
)  # fmt: skip
RECONNECTS = Metric(
    "tapereader.producer.feed.reconnects", _COUNTER, "{connection}", "connections after the first one",
    (Part.PRODUCER,),
)  # fmt: skip
EVICTIONS = Metric(
    "tapereader.producer.feed.evictions", _COUNTER, "{eviction}",
    "times that another connection of the account took this one's place", (Part.PRODUCER,),
)  # fmt: skip
FEED_CHANNELS = Metric(
    "tapereader.producer.feed.channels", _GAUGE, "{channel}",
    "subscribed channels by what the vendor answered: acknowledged, refused or unanswered",
    (Part.PRODUCER,), (EVENT_TYPE, ANSWER),
)  # fmt: skip
FEED_LAG = Metric(
    "tapereader.producer.feed.lag", _GAUGE, "s",
    "the market's time less that of the newest event at its receipt; absent before it is known", (Part.PRODUCER,),
)  # fmt: skip
CONNECTED = Metric("tapereader.producer.feed.connected", _GAUGE, "1", "1 while connected, else 0", (Part.PRODUCER,))
SILENCE = Metric(
    "tapereader.producer.feed.silence", _GAUGE, "s", "time since the last event; absent before the first one",
    (Part.PRODUCER,),
)  # fmt: skip
MARKET_OPEN = Metric(
    "tapereader.producer.market.open", _GAUGE, "1", "1 while the market is open, 0 while not; absent where unknown",
    (Part.PRODUCER,),
)  # fmt: skip
SOCKET_PAUSES = Metric(
    "tapereader.producer.socket.pauses", _COUNTER, "{pause}", "times that the socket was not read for want of room",
    (Part.PRODUCER,),
)  # fmt: skip
PUBLISH_DURATION = Metric(
    "tapereader.producer.publish.duration", _HISTOGRAM, "s", "one round of events from send to acknowledgement",
    (Part.PRODUCER,),
)  # fmt: skip

# The worker
BATCH_SIZE = Metric(
    "tapereader.batch.size", _HISTOGRAM, "{record}", "records of one batch", (Part.WORKER,), (TOPIC,), RECORDS
)
FOLD_DURATION = Metric(
    "tapereader.fold.duration", _HISTOGRAM, "s", "folding one batch into its table's rows", (Part.WORKER,), (TABLE,)
)
FLUSH_SIZE = Metric(
    "tapereader.flush.size", _HISTOGRAM, "{record}", "rows of one flush to a changelog",
    (Part.WORKER,), (TABLE,), RECORDS,
)  # fmt: skip
FLUSH_DURATION = Metric(
    "tapereader.flush.duration", _HISTOGRAM, "s", "one flush from fold to Kafka's acknowledgement",
    (Part.WORKER,), (TABLE,),
)  # fmt: skip
FLUSHES_UNDER_WAY = Metric(
    "tapereader.flush.pending", _GAUGE, "{flush}", "flushes that Kafka has not acknowledged: the changelog's lag",
    (Part.WORKER,), (TABLE,),
)  # fmt: skip
END_TO_END = Metric(
    "tapereader.event.latency", _HISTOGRAM, "s",
    "from the producer's receipt of a batch's newest event to the acknowledged flush of its row",
    (Part.WORKER,), (TABLE,),
)  # fmt: skip
LAG = Metric(
    "tapereader.consumer.lag", _GAUGE, "{record}", "records of a partition that are not processed yet",
    (Part.WORKER,), (TOPIC, PARTITION),
)  # fmt: skip
TABLE_ROWS = Metric(
    "tapereader.table.rows", _GAUGE, "{row}", "rows of a table in this process",
    (Part.WORKER, Part.GATEWAY), (TABLE,),
)  # fmt: skip
TABLE_PARTITIONS = Metric(
    "tapereader.table.partitions", _GAUGE, "{partition}", "partitions of a table that this worker owns",
    (Part.WORKER,), (TABLE,),
)  # fmt: skip
RECOVERING = Metric("tapereader.recovery.active", _GAUGE, "1", "1 while tables are read back, else 0", (Part.WORKER,))
RECOVERY_REMAINING = Metric(
    "tapereader.recovery.remaining", _GAUGE, "{record}", "records of the changelogs still to be read back",
    (Part.WORKER,),
)  # fmt: skip
REBALANCES = Metric(
    "tapereader.consumer.rebalances", _COUNTER, "{rebalance}", "rebalances since the start", (Part.WORKER,)
)
LATE = Metric(
    "tapereader.events.late", _COUNTER, "{record}", "events left out since a newer one of their symbol was there",
    (Part.WORKER,), (TOPIC,),
)  # fmt: skip
LATE_BARS = Metric(
    "tapereader.bars.late", _COUNTER, "{bar}",
    "bars that came after a later one of their symbol (`late`) or in the place of one (`repeated`), and counted",
    (Part.WORKER,), (BAR_KIND,),
)  # fmt: skip
DEAD_LETTERS = Metric(
    "tapereader.dead_letters", _COUNTER, "{record}", "records that could not be processed", (Part.WORKER,)
)
REFUSED = Metric(
    "tapereader.events.refused", _COUNTER, "{record}", "dead letters by topic and by the type of error",
    (Part.WORKER,), (TOPIC, ERROR_TYPE),
)  # fmt: skip

# The gateway
CLIENTS = Metric("tapereader.gateway.clients", _GAUGE, "{client}", "WebSocket clients now", (Part.GATEWAY,))
SUBSCRIPTIONS = Metric(
    "tapereader.gateway.subscriptions", _GAUGE, "{subscription}", "subscriptions of all clients now", (Part.GATEWAY,)
)
DELIVERIES = Metric(
    "tapereader.gateway.deliveries", _COUNTER, "{frame}", "frames handed to clients' sockets", (Part.GATEWAY,)
)
CONFLATIONS = Metric(
    "tapereader.gateway.conflations", _COUNTER, "{frame}", "states that a newer one replaced before they were sent",
    (Part.GATEWAY,),
)  # fmt: skip
DISCONNECTS = Metric(
    "tapereader.gateway.disconnects", _COUNTER, "{connection}", "connections closed, by the code that closed them",
    (Part.GATEWAY,), (CLOSE_CODE,),
)  # fmt: skip
QUEUE_DEPTH = Metric(
    "tapereader.gateway.queue.depth", _GAUGE, "{frame}", "frames that wait for slow clients", (Part.GATEWAY,)
)
QUEUE_LONGEST = Metric(
    "tapereader.gateway.queue.longest", _GAUGE, "{frame}", "frames that wait for the slowest client", (Part.GATEWAY,)
)
BAD_RECORDS = Metric(
    "tapereader.gateway.records.bad", _COUNTER, "{record}", "records of public tables that could not be read",
    (Part.GATEWAY,),
)  # fmt: skip
NEWEST_AGE = Metric(
    "tapereader.gateway.age", _GAUGE, "s", "time since the producer received the newest event in the tables",
    (Part.GATEWAY,),
)  # fmt: skip
DELIVERY_LATENCY = Metric(
    "tapereader.gateway.delivery.latency", _HISTOGRAM, "s",
    "from the producer's receipt of an event to its frame in the clients' sockets, once per batch", (Part.GATEWAY,),
)  # fmt: skip

# FastAPI records these itself.
HTTP_DURATION = Metric(
    "http.server.request.duration",
    _HISTOGRAM,
    "s",
    "one HTTP request",
    (Part.GATEWAY,),
    ("http.request.method", "http.route", "http.response.status_code", "url.scheme"),
    (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
HTTP_ACTIVE = Metric(
    "http.server.active_requests", _GAUGE, "{request}", "HTTP requests under way",
    (Part.GATEWAY,), ("http.request.method", "url.scheme"),
)  # fmt: skip


def _cache(name: str, describes: str) -> Metric:
    return Metric(f"mdc.{name}", _COUNTER, "1", describes, (Part.CACHE,))


def _cache_duration(name: str) -> Metric:
    return Metric(
        f"mdc.{name}_api_duration", _HISTOGRAM, "s", "duration of one REST exchange, queueing left out", (Part.CACHE,)
    )


CACHE_READ = _cache("read", "reads of any key")
CACHE_WRITE = _cache("write", "writes")
CACHE_BROADCAST = _cache("broadcast", "messages published")
CACHE_DELETE = _cache("delete", "keys deleted")
CACHE_DELETE_SNAPSHOT = _cache("delete_ticker_snapshot", "snapshots deleted")
CACHE_HIT = _cache("hit", "requests answered by memory or Redis")
CACHE_NEGATIVE_HIT = _cache("negative_hit", "requests answered by what is known to be missing")
CACHE_MISS = _cache("miss", "requests that neither memory nor Redis answered")
CACHE_STALE = _cache("stale", "requests answered by an older value because REST or Redis is down")
CACHE_ERROR = _cache("error", "failures of any sort, those of Redis included")
CACHE_TIMEOUT_ERROR = _cache("timeout_error", "REST requests that timed out")
CACHE_HTTP_ERROR = _cache("http_error", "REST requests that got an HTTP error")
CACHE_GET_SNAPSHOT = _cache("get_ticker_snapshot", "requests for a snapshot")
CACHE_GET_AVG_VOLUME = _cache("get_avg_volume", "requests for an average volume")
CACHE_GET_FREE_FLOAT = _cache("get_free_float", "requests for a free float")
CACHE_SNAPSHOT_DURATION = _cache_duration("snapshot")
CACHE_AVG_VOLUME_DURATION = _cache_duration("avg_volume")
CACHE_FREE_FLOAT_DURATION = _cache_duration("free_float")

#: Every metric there is, in the order of the document.
ALL: Final[tuple[Metric, ...]] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
