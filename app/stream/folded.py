"""A batched table whose state is changed in place, for state that is dear to copy (columns in numpy).

Rows of a `BatchedTable` are values, so that a fold that raises leaves nothing behind. State that is
changed in place cannot be taken back; here a batch is therefore decoded and checked as a whole
before anything changes, and what cannot be decoded goes to the dead letters. A fold that raises
all the same ends the worker, which starts again from the changelog.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import structlog

from app.stream.batches import RecordBatch
from app.stream.errors import OversizedError
from app.stream.failing import fail
from app.stream.folding import Flush
from app.stream.letters import from_record, from_undecodable
from app.stream.partition import PartitionState
from app.stream.pieces import Pieces
from app.stream.table import BatchedTable

log = structlog.get_logger(__name__)
Event = TypeVar("Event")

#: Records that are folded into one flush at most.
MOST_RECORDS = 4000

#: What was folded before a piece that does not fit has this long to be written before the worker ends.
WRITTEN_WITHIN_S = 5.0


class Foldable(Protocol[Event]):
    """State of one partition. The changelog holds it as rows of bytes by key."""

    def load(self, key: str, value: bytes) -> None:
        """Take a row from the changelog, in any order."""

    def finish_loading(self) -> None:
        """All rows are there."""

    def fold(self, events: list[Event]) -> None:
        """Let events count; does not raise."""

    def take_changes(self) -> dict[str, bytes | None]:
        """What has changed since the last call, each key once; None deletes it."""


class FoldedTable(BatchedTable[bytes], Generic[Event]):
    """A table whose partitions are `Foldable`s made by `make(partition)`.

    `decode_events` turns a batch into one event for each of its records, or raises; events that it
    returns must be safe to fold.
    """

    def __init__(
        self,
        app: Any,
        *,
        make: Callable[[int], Foldable[Event]],
        decode_events: Callable[[RecordBatch], list[Event]],
        most_records: int = MOST_RECORDS,
        **options: Any,
    ) -> None:
        super().__init__(app, encode=bytes, decode=bytes, on_ready=self._take_in, on_lost=self._let_go, **options)
        self.make, self.decode_events, self.most_records = make, decode_events, most_records
        self._pieces: dict[int, Pieces] = {}
        #: State of the partitions that this worker owns now, by number.
        self.folded: dict[int, Any] = {}

    def _take_in(self, partition: int) -> None:
        rows = self.data.partitions[partition].rows
        state = self.make(partition)
        for key, value in rows.items():
            state.load(key, value)
        state.finish_loading()
        rows.clear()
        self.folded[partition] = state
        self._pieces[partition] = Pieces(self.most_records)

    def _let_go(self, partition: int) -> None:
        self.folded.pop(partition, None)
        self._pieces.pop(partition, None)

    def apply(self, state: PartitionState[bytes], changes: Mapping[str, bytes | None]) -> None:
        """Nothing: the state has changed already, and its rows are not held a second time."""

    async def fold_events(self, batch: RecordBatch, message: Any = None) -> int:
        """Fold a batch's events and log the rows that changed; the number of events that counted.

        As for `BatchedTable.fold`: known records are skipped, a batch of a partition that is another worker's
        changes nothing, and what `EngineError` says ends this worker. So does a fold that raises.
        """
        state = self.state_for(batch, message)
        if state is None or not await self.goes_on(state, batch):
            return 0
        pending = batch.since(state.covered.get(batch.topic))
        rejected: list[tuple[RecordBatch, Exception]] = []
        events = self._decoded(pending, rejected) if len(pending) else []
        letters = [from_undecodable(batch, found) for found in batch.undecodable]
        letters += [from_record(found, 0, error) for found, error in rejected]
        started_s = self.around.clock.monotonic_s()
        flushes: list[Flush] = []
        try:
            with self.span_of(batch):
                self._fold_in_place(state, pending, events, flushes)
        except Exception as error:
            # The state is half changed, and nobody can take it back.
            log.error("fold_failed", table=self.name, batch=repr(pending), error=repr(error))
            if isinstance(error, OversizedError):
                # The pieces before it are whole: who starts again begins behind them, with smaller ones.
                await self.flushing.send(state, flushes, letters, None)
                await self.flushing.drain(WRITTEN_WITHIN_S)
            fail(self.app, error)
            raise
        if events:
            self.observer.folded(len(events), self.around.clock.monotonic_s() - started_s)
        self._reached(state, batch)
        await self.flushing.send(state, flushes, letters, message)
        return len(events) - len(rejected)

    def _decoded(self, batch: RecordBatch, rejected: list[tuple[RecordBatch, Exception]]) -> list[Event | None]:
        try:
            return list(self.decode_events(batch))
        except Exception as error:
            if len(batch) == 1:
                rejected.append((batch, error))
                return [None]
        first, second = batch.halves()
        return self._decoded(first, rejected) + self._decoded(second, rejected)

    def _fold_in_place(
        self, state: PartitionState[bytes], batch: RecordBatch, events: list[Event | None], flushes: list[Flush]
    ) -> None:
        """Fold events piece by piece; `flushes` has those of the pieces that are whole, also where this raises."""
        folded, pieces, start = self.folded[state.partition], self._pieces[state.partition], 0
        while start < len(events):
            stop = start + pieces.records
            folded.fold([event for event in events[start:stop] if event is not None])
            state.covered[batch.topic] = batch.records[stop].offset if stop < len(events) else batch.next_offset
            changes, folded_now = folded.take_changes(), min(stop, len(events)) - start
            start = stop
            if not changes:
                continue
            builder = self.flush_builder(state, changes)
            if builder is None:
                raise OversizedError(
                    f"{len(changes)} rows of {self.name}[{state.partition}] that {folded_now} records changed do not "
                    "fit a record batch; this worker ends, and takes them in smaller pieces when it is started again"
                )
            pieces.written(folded_now, builder.row_bytes)
            flushes.append(self.flush_of(state, builder, batch))
