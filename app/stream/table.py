"""A Faust table whose writes are folded by batch and whose state counts each source record once.

quotes = BatchedTable(app, name="quotes", changelog_topic=app.topic(..., schema=RecordBatchSchema()),
                      sources=["massive.aggregates"], encode=..., decode=..., dead_letters=...)

async for batch in stream:
    changes = await quotes.fold(batch, fold_function)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import faust
import structlog
from faust.types import TP, EventT

from app.stream import covers, internals
from app.stream.batches import RecordBatch
from app.stream.dead_letters import DeadLetterWriter, Letter, from_record, from_undecodable
from app.stream.errors import OversizedError, SkippedRecordsError, UnreadableRowError
from app.stream.flushing import Flushing
from app.stream.folding import Flush, Fold, Folding
from app.stream.partition import PartitionState, RecordBatchBuilder
from app.stream.store import PartitionedStore
from app.stream.surroundings import surroundings_of

log = structlog.get_logger(__name__)
Row = TypeVar("Row")


class BatchedTable(faust.Table, Generic[Row]):
    """A table by partitions, written by `fold` and `write`, read as a mapping of key to row.

    `sources` are the topics whose offsets the state covers. `encode` and `decode` turn a row into
    its public bytes and back. `on_ready(partition)` is called when a partition's rows are
    recovered, `on_lost(partition)` when they are gone, and `on_change(partition, changes)` whenever rows
    change, in the same step: what is derived from rows never differs from them, whoever looks in between.
    """

    def __init__(
        self,
        app: Any,
        *,
        name: str,
        changelog_topic: Any,
        sources: Iterable[str],
        encode: Callable[[Row], bytes],
        decode: Callable[[bytes], Row],
        dead_letters: DeadLetterWriter,
        on_ready: Callable[[int], None] | None = None,
        on_lost: Callable[[int], None] | None = None,
        on_change: Callable[[int, Mapping[str, Row | None]], None] | None = None,
        **options: Any,
    ) -> None:
        # 2, since Faust takes a buffer of one record to mean that recovery never ends.
        super().__init__(app, name=name, changelog_topic=changelog_topic, recovery_buffer_size=2, **options)
        self.sources = tuple(sources)
        self.encode_row, self.decode_row = encode, decode
        self.dead_letters = dead_letters
        self.on_ready, self.on_lost, self.on_change = on_ready, on_lost, on_change
        self.flushing = Flushing(self)
        self._store_in_use: PartitionedStore | None = None
        self.around = surroundings_of(app)
        self.observer = self.around.observer.table(name)
        #: The trace that changed a partition last, by partition; who publishes from its rows takes it away.
        self.traced: dict[int, bytes] = {}
        app.tables.add(self)
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)

    # -- reading

    @property
    def data(self) -> PartitionedStore:
        """The store."""
        if self._store_in_use is None:
            self._store_in_use = PartitionedStore(
                "memory://", self.app, self, table_name=self.name, key_type=str, value_type=bytes
            )
        return self._store_in_use

    @property
    def owned(self) -> Mapping[int, PartitionState[Row]]:
        """State of the partitions that this worker owns now, by number."""
        return self.data.partitions

    def covered(self, topic: str, partition: int) -> int | None:
        """The next offset of a source partition to fold; None where nothing of it is known."""
        state = self.data.partitions.get(partition)
        return None if state is None else state.covered.get(topic)

    # -- writing

    async def fold(self, batch: RecordBatch, function: "Fold[Row]", message: Any = None) -> dict[str, Row | None]:
        """Fold a batch into its partition's rows and log what changed, each key once.

        Records that the state has already are skipped. A record at which `function` raises goes
        to the dead letters alone. Returns the changed rows by key (None: deleted) as soon as they
        count in memory; `message`, the event's, is acknowledged once Kafka has the flush.

        A batch of a partition that is not owned (any more) changes nothing and returns nothing.
        """
        state = self.data.partitions.get(batch.partition)
        if state is None or (message is not None and message.generation_id != self.app.consumer_generation_id):
            return {}
        if not await self.follows(state, batch):
            return {}
        pending = batch.since(state.covered.get(batch.topic))
        folding = Folding(self, state, function)
        if len(pending):
            started_s = self.around.clock.monotonic_s()
            with self.span_of(batch):
                folding.fold(pending)
            self.observer.folded(len(pending), self.around.clock.monotonic_s() - started_s)
        letters = [from_undecodable(batch, found) for found in batch.undecodable]
        letters += [from_record(found, 0, error) for found, error in folding.rejected]
        await self._send(state.partition, folding.flushes, letters, message)
        return folding.changes

    async def follows(self, state: PartitionState[Any], batch: RecordBatch) -> bool:
        """Whether a batch goes on where the state ends; false where the partition was lost meanwhile.

        Raises `SkippedRecordsError`, and ends this worker, where records in between were never delivered. What
        the broker has deleted is said and passed over.
        """
        covered = state.covered.get(batch.topic)
        if covered is not None and batch.position is not None and batch.position > covered:
            tp = TP(batch.topic, batch.partition)
            begins = (await self.app.consumer.earliest_offsets(tp))[tp]
            if self.data.partitions.get(batch.partition) is not state:
                return False
            if begins <= covered:
                error = SkippedRecordsError(
                    f"{self.name}: {tp.topic}[{tp.partition}] has the records {covered} to {batch.position - 1}, "
                    "and they were passed over; this worker ends and reads them when it is started again"
                )
                await self.flushing.fail(error)
                raise error
            log.warning("source_deleted", table=self.name, at=f"{tp.topic}[{tp.partition}]", first=covered, next=begins)
        if not len(batch) and batch.next_offset > (covered or 0):
            state.covered[batch.topic] = batch.next_offset  # compaction, markers, what no codec reads
        return True

    @contextmanager
    def span_of(self, batch: RecordBatch) -> Iterator[None]:
        """A span around the folding of a batch that holds sampled events; around others, nothing."""
        if not batch.traces:
            yield
            return
        source: dict[str, str | int] = {
            "messaging.destination.name": batch.topic,
            "messaging.batch.message_count": len(batch),
        }
        traces = self.around.traces
        with traces.continued(f"fold {self.name}", batch.traces, source):
            header = traces.current()
            if header is not None:
                self.traced[batch.partition] = header
            yield

    def row_count(self) -> int:
        """How many rows this worker has."""
        return len(self.data)

    def flushes_under_way(self) -> int:
        """How many flushes Kafka has not acknowledged yet."""
        return self.flushing.under_way()

    async def write(self, partition: int, changes: Mapping[str, Row | None], traces: Sequence[bytes] = ()) -> None:
        """Write rows that come from no source record; returns once they are under way.

        `traces` are the sampled contexts that led to them.
        """
        state = self.data.partitions.get(partition)
        if state is None or not changes:
            return
        with self.around.traces.continued(f"write {self.name}", traces, {}):
            builder = self.build(state, changes)
            if builder is None:
                raise OversizedError(f"{len(changes)} rows for {self.name}[{partition}] do not fit one record batch")
            self.apply(state, changes)
            flush = self.flush_of(state, builder)
        await self._send(partition, [flush], [], None)

    def build(self, state: PartitionState[Row], changes: Mapping[str, Row | None]) -> RecordBatchBuilder | None:
        """The flush for some changes, None where it does not fit one record batch."""
        encode = self.encode_row
        rows = [(key.encode(), None if row is None else encode(row)) for key, row in changes.items()]
        builder = RecordBatchBuilder(internals.kafka_producer(self.app).create_batch())
        found = covers.Covers(len(rows), state.logged, dict(state.covered), state.restart)
        trace = self.around.traces.current()
        if not builder.fill(rows, found, () if trace is None else [(self.around.traces.header, trace)]):
            return None
        state.logged, state.restart = dict(state.covered), False
        return builder

    def flush_of(
        self, state: PartitionState[Row], builder: RecordBatchBuilder, batch: RecordBatch | None = None
    ) -> Flush:
        """The flush that goes out, with the time and the trace of now."""
        around = self.around
        received_ns = None if batch is None else self.observer.received_ns(batch)
        return Flush(state, builder, around.clock.wall_ns(), around.traces.current(), received_ns)

    def apply(self, state: PartitionState[Row], changes: Mapping[str, Row | None]) -> None:
        """Let changes count in memory."""
        rows = state.rows
        for key, row in changes.items():
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
        if self.on_change is not None:
            self.on_change(state.partition, changes)

    async def _send(self, partition: int, flushes: list[Flush], letters: list[Letter], message: Any) -> None:
        await self.flushing.send(partition, flushes, letters, message)

    async def drain(self) -> None:
        """Wait until Kafka has every flush that is under way."""
        await self.flushing.drain()

    # -- what Faust calls

    async def on_start(self) -> None:
        """Start the store; topics are made beforehand and checked at start, never here."""
        await self.add_runtime_dependency(self.data)

    async def on_stop(self) -> None:
        """Leave nothing under way."""
        await self.drain()
        await super().on_stop()

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Apply what recovery read."""
        self.data.apply_changelog_batch(batch, bytes, bytes)

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        await self.drain()
        self._lose_all()

    def _lose_all(self) -> None:
        for partition in list(self.data.partitions):
            del self.data.partitions[partition]
            if self.on_lost is not None:
                self.on_lost(partition)
        self.flushing.forget()
        self.traced.clear()

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Start afresh: what we own now is read back from the changelog, whoever wrote it."""
        self._lose_all()
        self.data.recovering.clear()
        internals.forget_recovered(self.app, self.changelog_topic_name)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Take the recovered partitions into use."""
        try:
            await self._finish_recovery(active_tps)
        except Exception as error:
            await self.crash(error)
            raise

    async def _finish_recovery(self, active_tps: set[TP]) -> None:
        ends = await self._source_ends(active_tps)
        for tp in active_tps:
            recovery = self.data.recovering.pop(tp.partition, None)
            if recovery is None:
                state = PartitionState[Row](tp.partition)
            else:
                try:
                    state = recovery.finish(self.decode_row)
                except Exception as error:
                    raise UnreadableRowError(
                        f"{tp.topic}[{tp.partition}] holds a row that this version cannot read ({error}); "
                        "run the version that wrote it, or delete the topic to build it anew"
                    ) from error
            self._check_sources(state, ends)
            self.data.partitions[tp.partition] = state
            if recovery is not None and recovery.damaged:
                keys = [(key or b"").decode() for key in recovery.damaged]
                log.warning("stale_writer_repaired", table=self.name, partition=tp.partition, keys=len(keys))
                await self.write(tp.partition, {key: state.rows.get(key) for key in keys})
            if self.on_ready is not None:
                self.on_ready(tp.partition)
        self.data.recovering.clear()

    async def _source_ends(self, active_tps: set[TP]) -> Mapping[TP, int]:
        wanted = {TP(topic, tp.partition) for tp in active_tps for topic in self.sources}
        wanted &= {TP(*tp) for tp in self.app.consumer.assignment()}
        return await self.app.consumer.highwaters(*wanted) if wanted else {}

    def _check_sources(self, state: PartitionState[Row], ends: Mapping[TP, int]) -> None:
        for topic, offset in list(state.covered.items()):
            end = ends.get(TP(topic, state.partition))
            if end is not None and end < offset:
                log.warning("source_restarted", topic=topic, partition=state.partition, covered=offset, end=end)
                del state.covered[topic]
                state.restart = True
