"""Every Kafka topic, declared once, as values.

Faust topics and tables, the topics' creation and check at start, the gateway, the AsyncAPI
document and the command line all derive from this list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from app.settings import topic_prefix

Cleanup = Literal["delete", "compact"]

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

#: A flush of a table is one record batch, so that it is atomic. 2,000 rows of 900 bytes are
#: 1.8 MB and a board of 500 rows 0.45 MB; eight times that leaves room for bursts.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

#: Stands before the name of every topic, so that several platforms can share a Kafka.
PREFIX: Final = topic_prefix()

#: The header in which the producer sends when it received an event (ASCII digits, ns).
RECEIVED_NS_HEADER = "received_ns"


#: What partitions hand over is begun anew each few seconds: a merge that starts afresh needs no more than that.
HAND_OVER_RETENTION_MS = 10 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic: what it is called here, what its key is, and how long the broker keeps its records.

    Files and documents have it by `declared`, the broker by `name`. A key of `symbol/…` has as many parts behind
    its symbol, which may hold slashes itself. A `retention_ms` of -1 is for ever; `single_partition` topics have one
    partition whatever the cluster's setting says.
    """

    declared: str
    key: str
    describes: str
    cleanup: Cleanup = "delete"
    retention_ms: int = 6 * HOUR_MS
    public: bool = True
    single_partition: bool = False
    #: Bytes that each partition keeps at least, a segment on top at most; None: time alone counts.
    retention_bytes: int | None = None
    segment_bytes: int = 256 * 1024 * 1024

    @property
    def name(self) -> str:
        """Its name at the broker."""
        return f"{PREFIX}{self.declared}"

    def symbol_of(self, key: bytes) -> bytes:
        """The symbol that a record's key begins with: where its row's partition is decided."""
        return key.rsplit(b"/", self.key.count("/"))[0]

    def config(self) -> Mapping[str, str]:
        """Broker-side configuration of the topic."""
        common = {"max.message.bytes": str(MAX_MESSAGE_BYTES), "cleanup.policy": self.cleanup}
        if self.cleanup == "compact":
            # Small segments and a low dirty ratio keep a changelog near the size of its table, so
            # that it is read back in seconds. The lag protects what a stale writer overwrote.
            return common | {
                "segment.bytes": str(64 * 1024 * 1024),
                "segment.ms": str(10 * 60_000),
                "min.cleanable.dirty.ratio": "0.1",
                "min.compaction.lag.ms": "60000",
                "delete.retention.ms": str(DAY_MS),
            }
        kept = common | {"retention.ms": str(self.retention_ms), "segment.bytes": str(self.segment_bytes)}
        if self.retention_bytes is not None:
            kept |= {"retention.bytes": str(self.retention_bytes)}
        if 0 <= self.retention_ms < HOUR_MS:
            # Kafka deletes whole segments, and never the one that is written to.
            segment_bytes = min(self.segment_bytes, 32 * 1024 * 1024)
            kept |= {"segment.ms": str(self.retention_ms // 2), "segment.bytes": str(segment_bytes)}
        return kept


AGGREGATES = TopicSpec("massive.aggregates", "symbol", "A and AM events as Massive sent them")
TRADES = TopicSpec("massive.trades", "symbol", "T events as Massive sent them")
QUOTES = TopicSpec("massive.quotes", "symbol", "Q events as Massive sent them", retention_ms=2 * HOUR_MS)
HALTS = TopicSpec("massive.halts", "symbol", "LULD events as Massive sent them", retention_ms=DAY_MS)
REFERENCE = TopicSpec(
    "massive.reference", "symbol", "previous day, average volume and float, as fetched", retention_ms=2 * DAY_MS
)
SYMBOLS = TopicSpec(
    "massive.symbols", "symbol", "name, type and exchange of symbols, as fetched", retention_ms=2 * DAY_MS
)
UNKNOWN = TopicSpec("massive.unknown", "symbol", "events of a type that has no route", retention_ms=DAY_MS)
DEAD_LETTERS = TopicSpec(
    "market.dead-letters", "source key", "what could not be processed, and why", retention_ms=7 * DAY_MS
)

MARKET_QUOTES = TopicSpec("market.quotes", "symbol", "the row of each symbol", cleanup="compact")
MARKET_REFERENCE = TopicSpec("market.reference", "symbol", "reference data of each symbol", cleanup="compact")
MARKET_SYMBOLS = TopicSpec(
    "market.symbols", "symbol", "the directory: name, type and exchange of each symbol", cleanup="compact"
)
BOARD_ROWS = TopicSpec(
    "tapereader.board-rows",
    "partition",
    "the rows that a board may need, from each partition: what changed, now and then all of them",
    retention_ms=HAND_OVER_RETENTION_MS,
    public=False,
)
LEADERBOARDS = TopicSpec("market.leaderboards", "board", "the ranked top 500 with their rows", cleanup="compact")
TRADE_TAPE = TopicSpec(
    "tapereader.trade-tape", "symbol/slot", "the last 1,000 trades of each symbol in chunks", "compact", public=False
)
WINDOW_STATISTICS = TopicSpec(
    "tapereader.window-statistics",
    "partition",
    "the statistics of each partition's windows: what changed, now and then all of them",
    retention_ms=HAND_OVER_RETENTION_MS,
    public=False,
)
TRADE_WINDOWS = TopicSpec(
    "market.trade-windows", "symbol", "statistics of the busiest windows; of all under the key *", cleanup="compact"
)
NBBO = TopicSpec("market.nbbo", "symbol", "the last best bid and offer of each symbol", cleanup="compact")
MARKET_HALTS = TopicSpec("market.halts", "symbol", "price bands and halts of each symbol", cleanup="compact")
DAILY_RANGES = TopicSpec(
    "market.daily-ranges", "symbol", "high and low of each symbol's sessions of the day", cleanup="compact"
)
OWNER = TopicSpec(
    "tapereader.owner", "nothing", "whose the tables are", retention_ms=-1, public=False, single_partition=True
)
ALERTS = TopicSpec("market.alerts", "symbol", "alerts, each with a key that tells repetitions", retention_ms=DAY_MS)

FEED = TopicSpec(
    "market.feed", "feed", "what is known of the vendor's feed: channels and its answers to them, lateness, problems",
    cleanup="compact", single_partition=True,
)  # fmt: skip

RAW_TOPICS = (AGGREGATES, TRADES, QUOTES, HALTS, REFERENCE, SYMBOLS, UNKNOWN)
PUBLIC_TABLES = (
    MARKET_QUOTES,
    MARKET_REFERENCE,
    MARKET_SYMBOLS,
    LEADERBOARDS,
    TRADE_WINDOWS,
    NBBO,
    MARKET_HALTS,
    DAILY_RANGES,
)
ALL_TOPICS = (
    *RAW_TOPICS,
    DEAD_LETTERS,
    *PUBLIC_TABLES,
    ALERTS,
    FEED,
    BOARD_ROWS,
    TRADE_TAPE,
    WINDOW_STATISTICS,
    OWNER,
)

#: By what they are called in files and documents.
BY_DECLARED: Mapping[str, TopicSpec] = {spec.declared: spec for spec in ALL_TOPICS}

#: Massive's event type -> the topic that it is routed to; anything else goes to UNKNOWN.
ROUTES: Mapping[str, TopicSpec] = {"A": AGGREGATES, "AM": AGGREGATES, "T": TRADES, "Q": QUOTES, "LULD": HALTS}
