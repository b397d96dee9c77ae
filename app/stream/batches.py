"""The records of one partition in one poll, as columns."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple, Protocol, TypeVar

Event = TypeVar("Event")


class Record(Protocol):
    """What aiokafka's record parser yields; times are Unix epoch ms."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Undecodable(NamedTuple):
    """A stretch of a partition that Kafka delivered and no codec here could read."""

    first_offset: int
    next_offset: int
    reason: str


class RecordBatch:
    """Records of one partition, in offset order; a slice of one is one too.

    `next_offset` is where reading goes on: past the last record, and past what compaction,
    transaction markers or `undecodable` stretches left out.
    """

    __slots__ = ("__dict__", "next_offset", "partition", "position", "records", "topic", "traces", "undecodable")

    def __init__(
        self,
        topic: str,
        partition: int,
        records: Sequence[Record],
        next_offset: int,
        undecodable: Sequence[Undecodable] = (),
        traces: Sequence[bytes] = (),
        position: int | None = None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.records = records
        self.next_offset = next_offset
        self.undecodable = undecodable
        #: Sampled trace contexts of the record batches that are in it; a slice of it has none.
        self.traces = traces
        #: The offset from which on it was read, its first record's at the latest; None: not known.
        self.position = position

    def __len__(self) -> int:
        return len(self.records)

    def __repr__(self) -> str:
        return f"<RecordBatch {self.topic}[{self.partition}] {len(self)} records up to {self.next_offset}>"

    @cached_property
    def values(self) -> list[bytes | None]:
        """The records' values; None is a tombstone."""
        return [record.value for record in self.records]

    @cached_property
    def keys(self) -> list[bytes | None]:
        """The records' keys."""
        return [record.key for record in self.records]

    @cached_property
    def offsets(self) -> list[int]:
        """The records' offsets, rising, with gaps."""
        return [record.offset for record in self.records]

    def decoded(self, decode: Callable[[bytes], list[Event]]) -> list[Event]:
        """One event for each record, by a decoder of JSON arrays: half the time of one call a record.

        Raises what `decode` raises, and `ValueError` where a record's value is several events.
        """
        events = decode(b"[" + b",".join(value or b"null" for value in self.values) + b"]")
        if len(events) != len(self.records):
            raise ValueError(f"expected one event per record, was {len(events)} in {len(self.records)} records")
        return events

    def header(self, index: int, name: str) -> bytes | None:
        """Header of one record, None where it has none of that name."""
        for key, value in self.records[index].headers:
            if key == name:
                return value
        return None

    def since(self, offset: int | None) -> "RecordBatch":
        """The records at `offset` or later; the batch itself where all of them are."""
        if offset is None or not self.records or self.records[0].offset >= offset:
            return self
        low, high = 0, len(self.records)
        while low < high:
            middle = (low + high) // 2
            if self.records[middle].offset < offset:
                low = middle + 1
            else:
                high = middle
        return RecordBatch(self.topic, self.partition, self.records[low:], self.next_offset)

    def halves(self) -> tuple["RecordBatch", "RecordBatch"]:
        """The batch as two, for finding the one record that cannot be folded."""
        middle = len(self.records) // 2
        first, second = self.records[:middle], self.records[middle:]
        return (
            RecordBatch(self.topic, self.partition, first, second[0].offset),
            RecordBatch(self.topic, self.partition, second, self.next_offset),
        )


def where(batch: RecordBatch, index: int = 0) -> str:
    """`topic[partition]@offset` of one record, for logs and dead letters."""
    return f"{batch.topic}[{batch.partition}]@{batch.records[index].offset}"
