"""A table whose folds also announce: records for another topic, sent before the flush that follows from them.

    alerts = AnnouncingTable(app, name="ranges", announces="market.alerts", sources=[...], ...)

    async for event in stream.events():
        await alerts.fold(event.value, function, event.message)

`function(view, batch)` returns the announcements as pairs of key and value. Kafka has acknowledged
them before the flush is sent, so that a crash between the two repeats announcements and loses
none: the state that led to them was not written, and the batch is folded again. Whoever reads the
topic drops repetitions by a key in the record. One agent folds such a table; timers may write it, too.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from app.stream import internals
from app.stream.batches import RecordBatch
from app.stream.surroundings import surroundings_of
from app.stream.table import BatchedTable
from app.stream.view import PartitionView

Row = TypeVar("Row")
Announcement = tuple[bytes, bytes]
AnnouncingFold = Callable[[PartitionView[Row], RecordBatch], Iterable[Announcement]]


class AnnouncingTable(BatchedTable[Row]):
    """A batched table that sends what its fold announces to the topic `announces`."""

    def __init__(self, app: Any, *, announces: str, **options: Any) -> None:
        super().__init__(app, **options)
        self.announces = announces
        #: Announcements sent since the start.
        self.announced = 0

    async def fold(self, batch: RecordBatch, function: Any, message: Any = None) -> dict[str, Row | None]:
        """As `BatchedTable.fold`, with a function that returns its announcements."""

        def noting(view: PartitionView[Row], part: RecordBatch) -> None:
            # Counts as the view's changes do: a fold that is tried again on its halves announces nothing.
            view.announcements = list(function(view, part))

        return await self._fold(batch, noting, message)

    async def write_announcing(
        self, partition: int, changes: Mapping[str, Row | None], announcements: Iterable[Announcement]
    ) -> None:
        """As `BatchedTable.write`, with announcements that Kafka has before the rows."""
        await self._write(partition, changes, (), list(announcements))

    def before(self, announcements: list[Announcement]) -> Callable[[], Awaitable[None]] | None:
        return partial(self._announce, announcements) if announcements else None

    async def _announce(self, announcements: list[Announcement]) -> None:
        producer = internals.kafka_producer(self.app)
        sent = [await producer.send(self.announces, key=key, value=value) for key, value in announcements]
        for future in sent:
            await future
        self.announced += len(announcements)
        surroundings_of(self.app).observer.sent(self.announces, len(announcements))
