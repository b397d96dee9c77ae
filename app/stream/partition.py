"""The state of one partition of a table, and how it is read back from its changelog."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from app.stream import covers
from app.stream.batches import RecordBatch

Row = TypeVar("Row")

#: Largest flush before compression: below what topics and requests take, with room for overhead.
MAX_FLUSH_BYTES = 15 * 1024 * 1024


class PartitionState(Generic[Row]):
    """Rows of one partition, and the source offsets that they cover.

    `covered` is what the rows in memory cover, `logged` what the changelog does; they differ by
    the flushes under way. Both map a source topic to the next offset to fold.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.rows: dict[str, Row] = {}
        self.covered: dict[str, int] = {}
        self.logged: dict[str, int] = {}
        #: Where the next flush of ours must land; another place means another writer.
        self.next_changelog_offset: int | None = None
        #: A source topic was made anew: the next flush says so.
        self.restart = False


class PartitionRecovery(Generic[Row]):
    """Reads a changelog partition back, flush by flush.

    Rows count when the record that ends their flush is seen. Flushes of a stale writer are left
    out, and `damaged` names the keys that it wrote: their rows have to be written again, since
    compaction would keep the wrong one.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.values: dict[bytes | None, bytes | None] = {}
        self.covered: dict[str, int] = {}
        self.damaged: set[bytes | None] = set()
        self.records = 0
        self.next_offset: int | None = None

    def apply(self, batch: RecordBatch) -> None:
        """Apply the next records of the changelog."""
        records = batch.records
        if records:
            self.records += len(records)
            self.next_offset = records[-1].offset + 1
        keys, values, start = batch.keys, batch.values, 0
        for index, record in enumerate(records):
            if record.headers and (found := covers.decode(tuple(record.headers))) is not None:
                self._apply_flush(batch, start, index + 1, found)
                start = index + 1
        self.values.update(zip(keys[start:], values[start:], strict=True))

    def _apply_flush(self, batch: RecordBatch, start: int, stop: int, found: covers.Covers) -> None:
        keys, values = batch.keys, batch.values
        if not found.is_stale(self.covered):
            self.values.update(zip(keys[start:stop], values[start:stop], strict=True))
            self.covered = dict(found.after) if found.restart else self.covered | found.after
            return
        first = batch.offsets[stop - 1] - found.records + 1
        begin = next(index for index in range(start, stop) if batch.offsets[index] >= first)
        self.values.update(zip(keys[start:begin], values[start:begin], strict=True))
        self.damaged.update(keys[begin:stop])

    def finish(self, decode: Callable[[bytes], Row]) -> PartitionState[Row]:
        """The partition's state; rows are decoded only now, each key once."""
        state = PartitionState[Row](self.partition)
        state.rows = {(key or b"").decode(): decode(value) for key, value in self.values.items() if value is not None}
        state.covered, state.logged = dict(self.covered), dict(self.covered)
        state.next_changelog_offset = self.next_offset
        return state


class RecordBatchBuilder:
    """Builds one flush: rows as records, the covers header on the last.

    `append` and `close` say False when the record batch is full; the flush must then be a smaller
    one, since two batches would not be atomic.
    """

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.records = 0

    def fill(
        self,
        rows: Sequence[tuple[bytes, bytes | None]],
        found: covers.Covers,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> bool:
        """Append all rows, the last one with `headers` too; whether they fit."""
        # The builder takes a first record of any size, and the broker would then refuse the batch.
        if sum(len(key) + len(value or b"") for key, value in rows) > MAX_FLUSH_BYTES:
            return False
        append = self.builder.append
        for key, value in rows[:-1]:
            if append(timestamp=None, key=key, value=value) is None:
                return False
        key, value = rows[-1]
        if append(timestamp=None, key=key, value=value, headers=[covers.encode(found), *headers]) is None:
            return False
        self.records = len(rows)
        self.builder.close()
        return True
