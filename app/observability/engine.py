"""What the engine tells of itself, as the platform's metrics and traces."""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from app import clock
from app.market.bounds import received_ns
from app.observability import meters, metrics, tracing
from app.observability.distributions import Distribution
from app.stream import RecordBatch
from app.stream.surroundings import Surroundings


class TableMeters:
    """The distributions of one table."""

    def __init__(self, table: str, sent: Counter[str], received_header: str) -> None:
        attributes = {metrics.TABLE: table}
        self._sent, self._received_header = sent, received_header
        self._fold = meters.distribution(metrics.FOLD_DURATION, attributes)
        self._flush = meters.distribution(metrics.FLUSH_DURATION, attributes)
        self._size = meters.distribution(metrics.FLUSH_SIZE, attributes)
        self._latency = meters.distribution(metrics.END_TO_END, attributes)

    def received_ns(self, batch: RecordBatch) -> int | None:
        """When the producer received a batch's newest event; None where its header does not say."""
        return received_ns(batch.header(len(batch) - 1, self._received_header)) if len(batch) else None

    def folded(self, records: int, seconds: float) -> None:
        """A batch was folded."""
        self._fold.record(seconds)

    def flushed(self, topic: str, records: int, seconds: float, received_ns: int | None) -> None:
        """Kafka has acknowledged a flush."""
        self._sent[topic] += records
        self._size.record(records)
        self._flush.record(seconds)
        if received_ns is not None:
            self._latency.record((clock.wall_ns() - received_ns) / 1e9)

    def recovered(self, partition: int, records: int) -> None:
        """Said by `tapereader.recovery.*`, which are read when someone asks."""


class EngineMeters:
    """The observer of a worker; once per batch or flush, never per record."""

    def __init__(self, received_header: str) -> None:
        self._received_header = received_header
        #: Records that Kafka acknowledged, by topic, of this process.
        self.sent_records: Counter[str] = Counter()
        self._batch_sizes: dict[str, Distribution] = {}

    def table(self, name: str) -> TableMeters:
        """The observer of one table."""
        return TableMeters(name, self.sent_records, self._received_header)

    def read(self, topic: str, records: int) -> None:
        """A batch was read."""
        if topic not in self._batch_sizes:
            self._batch_sizes[topic] = meters.distribution(metrics.BATCH_SIZE, {metrics.TOPIC: topic})
        self._batch_sizes[topic].record(records)

    def sent(self, topic: str, records: int) -> None:
        """Kafka has acknowledged records."""
        self.sent_records[topic] += records


class EngineTraces:
    """The engine's trace contexts are those of `app.observability.tracing`."""

    header = tracing.TRACE_HEADER

    def enabled(self) -> bool:
        """Whether headers are worth looking at."""
        return tracing.enabled()

    def current(self) -> bytes | None:
        """The current context; None where it is not sampled."""
        return tracing.current_header()

    def continued(
        self, name: str, contexts: Sequence[bytes], attributes: dict[str, str | int]
    ) -> AbstractContextManager[Any]:
        """A span that goes on with some contexts."""
        return tracing.continued(name, contexts, **attributes)

    def finished(self, name: str, parent: bytes | None, start_ns: int) -> None:
        """Record a span below `parent` that ends now."""
        tracing.finished(name, parent, start_ns)


def surroundings(received_header: str) -> Surroundings:
    """What the platform gives its workers; `received_header` names the header with the time of receipt."""
    return Surroundings(clock, EngineMeters(received_header), EngineTraces())
