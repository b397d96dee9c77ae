"""The state of one partition of a table, and how it is read back from its changelog."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from app.stream import covers
from app.stream.batches import RecordBatch
from app.stream.errors import SkippedRecordsError, UnreadableRowError

Row = TypeVar("Row")
Header = TypeVar("Header")

#: Largest flush before compression: below what topics and requests take, with room for overhead.
MAX_FLUSH_BYTES = 15 * 1024 * 1024


class PartitionState(Generic[Row]):
    """Rows of one partition, and the source offsets that they cover.

    `covered` maps a source topic to the next offset to fold, `ids` to the topic's id where it is known. `writer` is
    what its flushes are written with: the one that claimed the partition, so that a flush of a state that is lost is
    refused.
    """

    def __init__(self, partition: int, writer: Any = None) -> None:
        self.partition, self.writer = partition, writer
        self.rows: dict[str, Row] = {}
        self.covered: dict[str, int] = {}
        self.ids: dict[str, str] = {}
        #: Where the next flush of ours must land; another place means another writer.
        self.next_changelog_offset: int | None = None

    def covers(self) -> covers.Covers:
        """What a flush made now says of itself."""
        if self.writer is None:
            return covers.Covers(dict(self.covered), self.ids)
        return covers.Covers(dict(self.covered), self.ids, self.writer.epoch, self.writer.owner)


class PartitionRecovery(Generic[Row]):
    """What was read of a changelog partition: its rows as bytes, and what they cover.

    Everything in it was written by the owner of its time: the broker refuses all others. So rows simply follow each
    other, and the last `covers` tells how far they go. With all records up to one's own claim it is a state.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.records = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was read: the log is read from its start."""
        self.values: dict[bytes | None, bytes] = {}
        self.covers = covers.Covers({})
        #: Whether the newest `covers` stands at a tombstone, which compaction removes after some time.
        self.covers_fade = False
        self.next_offset: int | None = None
        #: The app whose worker claimed or wrote the partition last; None where nothing says so.
        self.owner: str | None = None

    def apply(self, batch: RecordBatch) -> None:
        """Apply the next records of the changelog.

        Raises `UnreadableRowError`: a record batch is damaged; `SkippedRecordsError`: some were never delivered.
        """
        at = f"{batch.topic}[{batch.partition}]"
        if batch.undecodable:
            first = batch.undecodable[0]
            raise UnreadableRowError(
                f"{at}: the records {first.first_offset} to {first.next_offset - 1} of the changelog cannot be read "
                f"({first.reason}); restore the topic from a backup, or delete it to build it anew"
            )
        if self.next_offset is not None and batch.position is not None and batch.position > self.next_offset:
            raise SkippedRecordsError(f"{at}: read back from {batch.position}, expected {self.next_offset}")
        records = batch.records
        self.records += len(records)
        self.next_offset = batch.next_offset
        self._count(batch.keys, batch.values)
        for index in range(len(records) - 1, -1, -1):
            # The newest one counts: all offsets are in each.
            if records[index].headers and (found := _decoded(batch, index, covers.decode)) is not None:
                self.covers, self.covers_fade = found, records[index].value is None
                self.owner = found.owner or self.owner
                break
        else:
            index = -1
        self._note_claim(batch, index + 1)

    def _note_claim(self, batch: RecordBatch, first: int) -> None:
        """Note whose the newest claim is, where one stands behind the newest covers."""
        for index in range(len(batch.keys) - 1, first - 1, -1):
            if batch.keys[index] == covers.CLAIM_KEY:
                claim = _decoded(batch, index, covers.decode_claim)
                self.owner = self.owner if claim is None else claim.owner
                return

    def _count(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> None:
        rows: dict[bytes | None, bytes | None] = dict(zip(keys, values, strict=True))
        if None in values:
            # A standby reads for days: deleted keys do not stay.
            for key, value in rows.items():
                if value is None:
                    self.values.pop(key, None)
            rows = {key: value for key, value in rows.items() if value is not None}
        self.values.update(rows)  # type: ignore[arg-type]

    def finish(
        self, decode: Callable[[bytes], Row], writer: Any = None, claim_offset: int | None = None
    ) -> PartitionState[Row]:
        """The partition's state; rows are decoded only now, each key once.

        Raises `SkippedRecordsError` where the claim was not reached, and what `decode` raises.
        """
        if claim_offset is not None and (self.next_offset or 0) <= claim_offset:
            raise SkippedRecordsError(
                f"partition {self.partition}: expected to read up to the claim at {claim_offset}, was at "
                f"{self.next_offset}"
            )
        state = PartitionState[Row](self.partition, writer)
        state.rows = {(key or b"").decode(): decode(value) for key, value in self.values.items()}
        state.covered, state.ids = dict(self.covers.after), dict(self.covers.ids)
        state.next_changelog_offset = self.next_offset
        return state


def _decoded(batch: RecordBatch, index: int, decode: Callable[[Any], Header | None]) -> Header | None:
    """What the headers of one record say. Raises `UnreadableRowError` where that cannot be read."""
    try:
        return decode(batch.records[index].headers)
    except (msgspec.MsgspecError, TypeError) as error:  # a header may be null, too
        raise UnreadableRowError(
            f"{batch.topic}[{batch.partition}]@{batch.records[index].offset}: its header `covers` or `claim` cannot be "
            f"read: {error}"
        ) from error


class RecordBatchBuilder:
    """Builds one flush: rows as records, the covers header on the last.

    `fill` says False when the record batch is full; the flush must then be a smaller one, since two batches would not
    be atomic.
    """

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self.records = 0
        #: Keys and values, before compression.
        self.row_bytes = 0

    def fill(
        self,
        rows: Sequence[tuple[bytes, bytes | None]],
        found: covers.Covers,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> bool:
        """Append all rows, the last one with `headers` too; whether they fit."""
        self.row_bytes = sum(len(key) + len(value or b"") for key, value in rows)
        # The builder takes a first record of any size, and the broker would then refuse the batch.
        if self.row_bytes > MAX_FLUSH_BYTES:
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
