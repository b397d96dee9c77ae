"""A Faust table whose writes are folded by batch and whose state counts each source record once.

quotes = BatchedTable(app, name="quotes", changelog_topic=app.topic(..., schema=RecordBatchSchema()),
                      sources=["massive.aggregates"], encode=..., decode=..., dead_letters=...)

async for batch in stream:
    changes = await quotes.fold(batch, fold_function)
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import faust
import structlog
from faust.types import TP, EventT

from app.stream.batches import RecordBatch
from app.stream.covers import CLAIM_KEY
from app.stream.dead_letters import DeadLetterWriter, from_record, from_undecodable
from app.stream.errors import EngineError, MissingStateError, OversizedError, SkippedRecordsError, UnreadableRowError
from app.stream.failing import fail, failure_of
from app.stream.flushing import Flushing
from app.stream.folding import Flush, Fold, Folding
from app.stream.partition import PartitionRecovery, PartitionState, RecordBatchBuilder
from app.stream.sources import check_sources
from app.stream.store import PartitionedStore
from app.stream.surroundings import surroundings_of
from app.stream.topic_ids import ids_of_all

log = structlog.get_logger(__name__)
Row = TypeVar("Row")

#: Flushes under way have this long to arrive when a partition is given up: below any session's time-out.
DRAIN_WITHIN_S = 2.0


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
        #: Partitions that the broker says are another worker's, until the group says so too.
        self._taken: set[int] = set()
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

        Records that the state has already are skipped. A record at which `function` raises, or whose rows cannot be
        encoded, goes to the dead letters alone. Returns the changed rows by key (None: deleted) as soon as they
        count in memory; `message`, the event's, is acknowledged once Kafka has the flush.

        A batch of a partition that went to another worker changes nothing and returns nothing. Raises `EngineError`,
        and this worker ends, where the partition is assigned and has no state, or records were passed over.
        """
        return await self._fold(batch, function, message)

    async def _fold(self, batch: RecordBatch, function: "Fold[Row]", message: Any) -> dict[str, Row | None]:
        state = self.state_for(batch, message)
        if state is None or not await self.goes_on(state, batch):
            return {}
        pending = batch.since(state.covered.get(batch.topic))
        folding = Folding(self, state, function)
        if len(pending):
            started_s = self.around.clock.monotonic_s()
            try:
                with self.span_of(batch):
                    folding.fold(pending)
            except Exception as error:
                # A batch that cannot be folded is divided; what comes out here left rows half changed.
                fail(self.app, error)
                raise
            self.observer.folded(len(pending), self.around.clock.monotonic_s() - started_s)
        self._reached(state, batch)
        letters = [from_undecodable(batch, found) for found in batch.undecodable]
        letters += [from_record(found, 0, error) for found, error in folding.rejected]
        before = self.before(folding.announcements)
        await self.flushing.send(state, folding.flushes, letters, message, before)
        return folding.changes

    def before(self, announcements: list[tuple[bytes, bytes]]) -> Callable[[], Awaitable[None]] | None:
        """What sends a fold's announcements; a table that announces has one."""
        return None

    def state_for(self, batch: RecordBatch, message: Any) -> PartitionState[Row] | None:
        """The state that a batch belongs to; None where the partition is another worker's by now.

        Raises `MissingStateError`, and ends this worker, where it is ours and has none.
        """
        failure = failure_of(self.app)
        if failure is not None:
            raise failure
        state = self.data.partitions.get(batch.partition)
        if message is not None and message.generation_id != self.app.consumer_generation_id:
            return None
        if state is None and message is not None and batch.partition not in self._taken:
            error = MissingStateError(
                f"{self.name}: partition {batch.partition} is assigned to this worker and has no rows; it ends, and "
                "reads them when it is started again"
            )
            fail(self.app, error)
            raise error
        return state

    async def goes_on(self, state: PartitionState[Any], batch: RecordBatch) -> bool:
        """Whether a batch goes on where the state ends; false where the partition was lost meanwhile.

        Raises `SkippedRecordsError`, and ends this worker, where records in between were never delivered. What
        the broker has deleted is said and passed over.
        """
        covered = state.covered.get(batch.topic)
        if covered is None or batch.position is None or batch.position <= covered:
            return True
        tp = TP(batch.topic, batch.partition)
        begins = (await self.app.consumer.earliest_offsets(tp))[tp]
        if not self.is_owned(state):
            return False
        if begins <= covered:
            error = SkippedRecordsError(
                f"{self.name}: {tp.topic}[{tp.partition}] has the records {covered} to {batch.position - 1}, "
                "and they were passed over; this worker ends and reads them when it is started again"
            )
            fail(self.app, error)
            raise error
        if covered:
            # At 0 nothing was read yet: what was deleted before that nobody here has missed.
            log.warning("source_deleted", table=self.name, at=f"{tp.topic}[{tp.partition}]", first=covered, next=begins)
        return True

    @staticmethod
    def _reached(state: PartitionState[Any], batch: RecordBatch) -> None:
        """All of a batch is known now, with what compaction, markers and damage left out at its end."""
        if batch.next_offset > state.covered.get(batch.topic, 0):
            state.covered[batch.topic] = batch.next_offset

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

        `traces` are the sampled contexts that led to them. Rows that do not fit one record batch go in several.
        A partition that is not owned (any more) takes nothing. Raises what `encode` raises and, for one row that
        fits no record batch, `OversizedError`; nothing has changed then.
        """
        await self._write(partition, changes, traces, [])

    async def _write(
        self,
        partition: int,
        changes: Mapping[str, Row | None],
        traces: Sequence[bytes],
        announcements: list[tuple[bytes, bytes]],
    ) -> None:
        state = self.data.partitions.get(partition)
        if state is None or not changes or failure_of(self.app) is not None:
            return
        with self.around.traces.continued(f"write {self.name}", traces, {}):
            flushes = [self.flush_of(state, builder) for builder in self._in_pieces(state, dict(changes))]
            self.apply(state, changes)
        await self.flushing.send(state, flushes, [], None, self.before(announcements))

    def _in_pieces(self, state: PartitionState[Row], changes: dict[str, Row | None]) -> list[RecordBatchBuilder]:
        builder = self.flush_builder(state, changes)
        if builder is not None:
            return [builder]
        if len(changes) == 1:
            raise OversizedError(f"the row {next(iter(changes))} of {self.name} does not fit a record batch")
        items = list(changes.items())
        middle = len(items) // 2
        return self._in_pieces(state, dict(items[:middle])) + self._in_pieces(state, dict(items[middle:]))

    def flush_builder(self, state: PartitionState[Row], changes: Mapping[str, Row | None]) -> RecordBatchBuilder | None:
        """The record batch of a flush, None where some changes do not fit one. Raises what `encode` raises."""
        encode = self.encode_row
        rows = [(key.encode(), None if row is None else encode(row)) for key, row in changes.items()]
        builder = RecordBatchBuilder(state.writer.producer.create_batch())
        trace = self.around.traces.current()
        headers = () if trace is None else [(self.around.traces.header, trace)]
        return builder if builder.fill(rows, state.covers(), headers) else None

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

    async def drain(self) -> None:
        """Wait until Kafka has every flush that is under way."""
        await self.flushing.drain()

    # -- whose partitions

    def is_owned(self, state: PartitionState[Any]) -> bool:
        """Whether a state is the one that counts now."""
        return self.data.partitions.get(state.partition) is state

    def is_kept(self, partition: int) -> bool:
        """Whether a partition's rows are all there and all in Kafka."""
        return partition in self.data.partitions and not self.flushing.under_way(partition)

    def expected_offset(self, partition: int) -> int | None:
        """Where the next record of a partition belongs."""
        return self.data.partitions[partition].next_changelog_offset

    def claimed(self, partition: int, offset: int) -> None:
        """A partition that was kept was claimed again: nobody wrote in between."""
        self.data.partitions[partition].next_changelog_offset = offset + 1

    def lose(self, partition: int) -> None:
        """Drop a partition's rows."""
        self.data.recovering.pop(partition, None)
        state = self.data.partitions.pop(partition, None)
        self.flushing.forget(partition)
        self.traced.pop(partition, None)
        if state is not None and self.on_lost is not None:
            self.on_lost(partition)

    def taken(self, state: PartitionState[Any]) -> None:
        """Another worker has a partition, which this one has not noticed: its rows are void until it has."""
        log.warning("partition_taken", table=self.name, partition=state.partition)
        self._taken.add(state.partition)
        self.lose(state.partition)

    def begin_recovery(self, partition: int, claim_offset: int) -> None:
        """A partition was claimed, and is read back from now on."""
        self.data.recovering[partition] = PartitionRecovery(partition, claim_offset)

    # -- what Faust calls

    async def on_start(self) -> None:
        """Start the store; topics are made beforehand and checked at start, never here."""
        await self.add_runtime_dependency(self.data)

    async def on_stop(self) -> None:
        """Leave nothing under way that can still arrive."""
        await self.flushing.drain(DRAIN_WITHIN_S)
        await super().on_stop()

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Apply what recovery read."""
        try:
            generation_id = self.app.consumer_generation_id
            # Faust's queue may hold some of a recovery that a rebalance has ended.
            self.data.apply(event.value for event in batch if event.message.generation_id == generation_id)
        except Exception as error:
            # Faust would log it and go on without these rows.
            fail(self.app, error)
            raise

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        # What does not arrive in time is refused once another worker has claimed the partition, or read by it.
        await self.flushing.drain(DRAIN_WITHIN_S)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Drop what is another worker's now. What stays is claimed again, what is new is read back."""
        self._taken.clear()
        self.data.recovering.clear()
        topic = self.changelog_topic_name
        ours = {tp.partition for tp in assigned if tp.topic == topic}
        for partition in set(self.data.partitions) - ours:
            self.lose(partition)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Take the recovered partitions into use."""
        try:
            if failure_of(self.app) is None:
                await self._finish_recovery(active_tps)
        except Exception as error:
            fail(self.app, error)
            raise

    async def _finish_recovery(self, active_tps: set[TP]) -> None:
        ends = await self._source_ends(active_tps)
        ids = await self._source_ids(active_tps)
        for tp in sorted(active_tps):
            recovery = self.data.recovering.pop(tp.partition, None)
            state = self.data.partitions.get(tp.partition) if recovery is None else self._recovered(tp, recovery)
            if state is None:
                continue  # A rebalance has begun meanwhile.
            check_sources(state, self.sources, ends, ids)
            if recovery is None:
                continue
            self.data.partitions[tp.partition] = state
            self.observer.recovered(tp.partition, recovery.records)
            if recovery.covers_fade:
                await self._renew_covers(state)
            if self.on_ready is not None:
                self.on_ready(tp.partition)

    def _recovered(self, tp: TP, recovery: PartitionRecovery[Row]) -> PartitionState[Row]:
        writer = self.app.tables.ownership.writer(tp.partition)
        try:
            return recovery.finish(self.decode_row, writer)
        except EngineError:
            raise
        except Exception as error:
            raise UnreadableRowError(
                f"{tp.topic}[{tp.partition}] holds a row that this version cannot read ({error}); "
                "run the version that wrote it, or delete the topic to build it anew"
            ) from error

    async def _renew_covers(self, state: PartitionState[Row]) -> None:
        """Say again what is covered: the newest word stood at a deleted row, and compaction forgets such in a day."""
        builder = RecordBatchBuilder(state.writer.producer.create_batch())
        builder.fill([(CLAIM_KEY, None)], state.covers())
        await self.flushing.send(state, [self.flush_of(state, builder)], [], None)

    async def _source_ends(self, active_tps: set[TP]) -> Mapping[TP, int]:
        wanted = {TP(topic, tp.partition) for tp in active_tps for topic in self.sources}
        wanted &= {TP(*tp) for tp in self.app.consumer.assignment()}
        return await self.app.consumer.highwaters(*wanted) if wanted else {}

    async def _source_ids(self, active_tps: set[TP]) -> Mapping[str, str]:
        writers = [self.app.tables.ownership.writer(tp.partition) for tp in active_tps]
        client = next((writer.producer.client for writer in writers if writer is not None), None)
        return {} if client is None else await ids_of_all(client, self.sources)
