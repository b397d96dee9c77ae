"""Folding one batch into the rows of its partition: what changed, the flushes for it, what could not be folded."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from app.stream.batches import RecordBatch
from app.stream.errors import OversizedError
from app.stream.partition import PartitionState, RecordBatchBuilder
from app.stream.view import PartitionView

Row = TypeVar("Row")
Fold = Callable[[PartitionView[Row], RecordBatch], None]


class Writable(Protocol[Row]):
    """The table as a fold sees it."""

    name: str

    def flush_builder(self, state: PartitionState[Row], changes: Mapping[str, Row | None]) -> RecordBatchBuilder | None:
        """The flush for some changes, None where it does not fit one record batch."""

    def apply(self, state: PartitionState[Row], changes: Mapping[str, Row | None]) -> None:
        """Take the changes into the rows."""

    def flush_of(self, state: PartitionState[Row], builder: RecordBatchBuilder, batch: RecordBatch | None) -> "Flush":
        """The flush that goes out, with the time and the trace of now."""


class Flush:
    """A flush under way: its record batch, then what Kafka said of it."""

    __slots__ = ("builder", "future", "made_ns", "received_ns", "records", "state", "trace")

    def __init__(
        self,
        state: PartitionState[Any],
        builder: RecordBatchBuilder,
        made_ns: int,
        trace: bytes | None = None,
        received_ns: int | None = None,
    ) -> None:
        self.state, self.builder, self.records = state, builder.builder, builder.records
        self.future: Any = None
        self.made_ns, self.trace, self.received_ns = made_ns, trace, received_ns


class Folding(Generic[Row]):
    """One call of `fold`: halves what cannot be folded or does not fit until it can or does."""

    def __init__(self, table: "Writable[Row]", state: PartitionState[Row], function: Fold[Row]) -> None:
        self.table, self.state, self.function = table, state, function
        self.changes: dict[str, Row | None] = {}
        self.flushes: list[Flush] = []
        self.announcements: list[tuple[bytes, bytes]] = []
        self.rejected: list[tuple[RecordBatch, Exception]] = []

    def fold(self, batch: RecordBatch) -> None:
        """Fold a batch, or what of it can be; `changes`, `flushes` and `rejected` grow by it."""
        state, before = self.state, dict(self.state.covered)
        view = PartitionView(state.partition, state.rows)
        try:
            self.function(view, batch)
            state.covered[batch.topic] = batch.next_offset
            flush = self._flush(view.changes, batch) if view.changes else None
        except Exception as error:
            # Nothing of it counts: not its rows, which may be what cannot be encoded, and not its offsets.
            state.covered = before
            self._divide(batch, error)
            return
        self.announcements += view.announcements
        if flush is not None:
            self.table.apply(state, view.changes)
            self.changes.update(view.changes)
            self.flushes.append(flush)

    def _flush(self, changes: Mapping[str, Row | None], batch: RecordBatch) -> Flush:
        builder = self.table.flush_builder(self.state, changes)
        if builder is None:
            raise OversizedError(f"its rows do not fit one record batch of {self.table.name}")
        return self.table.flush_of(self.state, builder, batch)

    def _divide(self, batch: RecordBatch, error: Exception) -> None:
        if len(batch) == 1:
            self.rejected.append((batch, error))
            self.state.covered[batch.topic] = batch.next_offset
            return
        for half in batch.halves():
            self.fold(half)
