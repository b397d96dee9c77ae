"""A Faust table whose writes are folded by batch and whose state counts each source record once.

quotes = BatchedTable(app, name="quotes", changelog_topic=app.topic(..., schema=RecordBatchSchema()),
                      sources=["massive.aggregates"], encode=..., decode=..., dead_letters=...)

async for batch in stream:
    changes = await quotes.fold(batch, fold_function)
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from faust.types import TP

from app.stream.batches import RecordBatch
from app.stream.covers import COVERS_KEY
from app.stream.errors import MissingStateError, OversizedError, SkippedRecordsError
from app.stream.failing import fail, failure_of
from app.stream.folding import Flush, Fold, Folding
from app.stream.letters import from_record, from_undecodable
from app.stream.partition import PartitionState, RecordBatchBuilder
from app.stream.partitioned import PartitionedTable

log = structlog.get_logger(__name__)
Row = TypeVar("Row")


class BatchedTable(PartitionedTable[Row]):
    """A table by partitions, written by `fold` and `write`, read as a mapping of key to row.

    The parameters are those of `PartitionedTable`. `on_change(partition, changes)` is called whenever rows
    change, in the same step: what is derived from rows never differs from them, whoever looks in between.
    """

    def __init__(
        self, app: Any, *, on_change: Callable[[int, Mapping[str, Row | None]], None] | None = None, **options: Any
    ) -> None:
        super().__init__(app, **options)
        self.on_change = on_change

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

    async def renew_covers(self, partition: int) -> None:
        """Say again what is covered: the newest word stood at a deleted row, and compaction forgets such in a day."""
        state = self.data.partitions.get(partition)
        if state is None:
            return
        builder = RecordBatchBuilder(state.writer.producer.create_batch())
        builder.fill([(COVERS_KEY, None)], state.covers())
        await self.flushing.send(state, [self.flush_of(state, builder)], [], None)
