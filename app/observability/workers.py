"""A worker as it is seen from outside: its metrics, whether it is ready, and the HTTP side that says so."""

from collections.abc import Iterator
from typing import Any

import structlog
from aiohttp import web
from faust.types import TP
from mode import Service

from app.observability import left_out, metrics
from app.observability.engine import EngineMeters
from app.observability.meters import Meters, Reading
from app.observability.operations import Operations, served
from app.settings import Settings
from app.stream import BatchedTable
from app.stream.failing import failure_of
from app.stream.surroundings import surroundings_of

log = structlog.get_logger(__name__)


class Observed:
    """Reads a Faust app's state when someone asks; every method is cheap and changes nothing."""

    def __init__(self, app: Any) -> None:
        self.app = app

    @property
    def _consumer(self) -> Any:
        """The consumer; None before the app has started it."""
        consumer = self.app._consumer
        return consumer if consumer is not None and consumer.started else None

    def tables(self) -> list[BatchedTable[Any]]:
        """The batched tables."""
        return [table for table in list(self.app.tables.values()) if isinstance(table, BatchedTable)]

    def reasons(self) -> list[str]:
        """Why the worker is not ready; empty: partitions are assigned and their tables recovered."""
        app, consumer = self.app, self._consumer
        if (error := failure_of(app)) is not None:
            return [f"the worker is ending: {error}"]
        if app.should_stop:
            return ["the worker is stopping"]
        if consumer is None:
            return ["the worker is starting"]
        if not app.rebalancing_count:
            return [f"no partitions yet: waiting for the consumer group {app.conf.id}"]
        if self.is_recovering():
            return [f"reading the tables back: {self.recovery_remaining()} records to go"]
        if app.rebalancing:
            return ["partitions are being assigned anew"]
        missing = [
            f"table {table.name}: {len(absent)} of its partitions are not recovered yet"
            for table in self.tables()
            if (absent := self._assigned(table) - set(table.owned))
        ]
        return missing + self.faults()

    def faults(self) -> list[str]:
        """What stands still while something waits, by the watchdog's last look; empty before it looked."""
        watchdog = getattr(self.app, "watchdog", None)
        return [] if watchdog is None else list(watchdog.standing)

    def _assigned(self, table: BatchedTable[Any]) -> set[int]:
        topic = table.changelog_topic_name
        return {tp.partition for tp in self._consumer.assignment() if tp.topic == topic}

    def facts(self) -> dict[str, Any]:
        """What `GET /healthz` says of the worker."""
        return {
            "partitions": {table.name: sorted(table.owned) for table in self.tables()},
            "lag": sum(int(value) for value, _ in self.lag()),
            "rebalances": self.app.rebalancing_count,
            "late": dict(left_out.counts),
        }

    def recovery_remaining(self) -> int:
        """Records of the changelogs still to be read back."""
        return int(self.app.tables.takeover.remaining())

    def is_recovering(self) -> bool:
        """Whether some partition is assigned and not taken over yet."""
        tables = self.app.tables
        return bool(tables.recovery.in_recovery or tables.takeover.pending)

    def lag(self) -> Iterator[Reading]:
        """Records not processed yet, by topic and partition; changelogs left out."""
        consumer = self._consumer
        if consumer is None:
            return
        changelogs = self.app.tables.changelog_topics
        for tp in sorted(consumer.assignment()):
            end = None if tp.topic in changelogs else consumer.highwater(tp)
            if end is not None:
                done = self._done(consumer, tp)
                waiting = 0 if done is None else max(end - done, 0)
                yield waiting, {metrics.TOPIC: tp.topic, metrics.PARTITION: str(tp.partition)}

    @staticmethod
    def _done(consumer: Any, tp: TP) -> int | None:
        done: int | None = consumer.ledger.committable(tp)
        if done is None:
            done = consumer._committed_offset.get(tp)
        return done

    def _refused(self) -> list[Reading]:
        """Dead letters by topic and type of error."""
        return [
            (count, {metrics.TOPIC: topic, metrics.ERROR_TYPE: error})
            for writer in {table.dead_letters for table in self.tables()}
            for (topic, error), count in list(writer.written.items())
        ]

    def _sent(self) -> dict[str, int]:
        observer = surroundings_of(self.app).observer
        return observer.sent_records if isinstance(observer, EngineMeters) else {}

    def register(self, meters: Meters) -> None:
        """Have all of it read by those who ask for metrics."""
        app, observe = self.app, meters.observe
        observe(metrics.CONSUMED, lambda: self._by_topic(getattr(app._consumer, "received", {})))
        observe(metrics.SENT, lambda: self._by_topic(self._sent()))
        observe(metrics.LAG, self.lag)
        observe(metrics.REBALANCES, lambda: [(app.rebalancing_count, {})])
        observe(metrics.RECOVERING, lambda: [(self.is_recovering(), {})])
        observe(metrics.RECOVERY_REMAINING, lambda: [(self.recovery_remaining(), {})])
        observe(metrics.LATE, lambda: self._by_topic(left_out.counts))
        observe(metrics.LATE_BARS, lambda: [(n, {metrics.BAR_KIND: kind}) for kind, n in list(left_out.bars.items())])
        observe(metrics.DEAD_LETTERS, lambda: [(sum(count for count, _ in self._refused()), {})])
        observe(metrics.REFUSED, self._refused)
        observe(metrics.TABLE_ROWS, lambda: [(table.row_count(), _of(table)) for table in self.tables()])
        observe(metrics.TABLE_PARTITIONS, lambda: [(len(table.owned), _of(table)) for table in self.tables()])
        observe(metrics.FLUSHES_UNDER_WAY, lambda: [(t.flushes_under_way(), _of(t)) for t in self.tables()])

    @staticmethod
    def _by_topic(counts: dict[str, int]) -> list[Reading]:
        return [(count, {metrics.TOPIC: topic}) for topic, count in list(counts.items())]


def _of(table: BatchedTable[Any]) -> dict[str, str]:
    return {metrics.TABLE: table.name}


class WorkerHttp(Service):  # type: ignore[misc]
    """The HTTP side of a worker. It is started before the app: readiness has to speak during a recovery."""

    def __init__(self, app: Any, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        observed = Observed(app)
        self._settings = settings
        self.operations = Operations(settings, "worker", observed.reasons, observed.facts, observed.faults)
        observed.register(self.operations.meters)

    async def on_start(self) -> None:
        """Listen. Raises `StartupError` when the port is taken."""
        application, host = web.Application(), self._settings.worker_http_host
        application.add_routes(self.operations.routes())
        serving = served(application, host, self._settings.worker_http_port, "TAPEREADER_WORKER_HTTP_PORT")
        port = await self.add_async_context(serving)
        log.info("worker_listening", url=f"http://{host}:{port}/metrics")
