"""What the engine records of itself: once per batch or flush, never per record."""

from collections import Counter
from typing import Final

from app import clock
from app.kafka.topics import RECEIVED_NS_HEADER
from app.observability import meters, metrics
from app.stream.batches import RecordBatch

#: Records that Kafka acknowledged, by topic, of this process.
sent: Final[Counter[str]] = Counter()


class TableInstruments:
    """The distributions of one table."""

    def __init__(self, table: str) -> None:
        attributes = {metrics.TABLE: table}
        self._fold = meters.distribution(metrics.FOLD_DURATION, attributes)
        self._flush = meters.distribution(metrics.FLUSH_DURATION, attributes)
        self._size = meters.distribution(metrics.FLUSH_SIZE, attributes)
        self._latency = meters.distribution(metrics.END_TO_END, attributes)

    def folded(self, started_s: float) -> None:
        """A batch was folded that was begun at a time."""
        self._fold.record(clock.monotonic_s() - started_s)

    def flushed(self, topic: str, records: int, started_ns: int, received_ns: int | None) -> None:
        """Kafka has acknowledged a flush that was made at a time, of events received at a time."""
        now_ns = clock.wall_ns()
        sent[topic] += records
        self._size.record(records)
        self._flush.record((now_ns - started_ns) / 1e9)
        if received_ns is not None:
            self._latency.record((now_ns - received_ns) / 1e9)


def received_ns(batch: RecordBatch) -> int | None:
    """When the producer received a batch's newest event; None where its header does not say."""
    value = batch.header(len(batch) - 1, RECEIVED_NS_HEADER) if len(batch) else None
    return int(value) if value is not None and value.isdigit() else None
