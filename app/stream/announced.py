"""A table whose folds also announce: records for another topic, sent before the flush that follows from them.

    alerts = AnnouncingTable(app, name="ranges", announces="market.alerts", sources=[...], ...)

    async for event in stream.events():
        await alerts.fold(event.value, function, event.message)

`function(view, batch)` returns the announcements as pairs of key and value. Kafka has acknowledged
them before the flush is sent, so that a crash between the two repeats announcements and loses
none: the state that led to them was not written, and the batch is folded again. Whoever reads the
topic drops repetitions by a key in the record. One agent folds such a table; timers may write it, too.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
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
        self._pending: dict[int, list[Announcement]] = {}
        self._announcing: dict[int, asyncio.Lock] = {}

    async def fold(self, batch: RecordBatch, function: Any, message: Any = None) -> dict[str, Row | None]:
        """As `BatchedTable.fold`, with a function that returns its announcements."""
        pending: list[Announcement] = []

        def noting(view: PartitionView[Row], part: RecordBatch) -> None:
            # Only what a fold returned counts: one that raises is tried again on its halves.
            pending.extend(function(view, part))

        # Nothing is awaited between here and `_send`, which takes them.
        self._pending[batch.partition] = pending
        return await super().fold(batch, noting, message)

    async def write_announcing(
        self, partition: int, changes: Mapping[str, Row | None], announcements: Iterable[Announcement]
    ) -> None:
        """As `BatchedTable.write`, with announcements that Kafka has before the rows."""
        if partition in self.data.partitions and changes:
            # Nothing is awaited between here and `_send`, which takes them.
            self._pending[partition] = list(announcements)
            await self.write(partition, changes)

    async def _send(self, partition: int, flushes: list[Any], letters: list[Any], message: Any) -> None:
        pending = self._pending.pop(partition, [])
        # A fair lock: flushes go out in the order in which they were folded, whosever announcements take longer.
        async with self._announcing.setdefault(partition, asyncio.Lock()):
            if pending:
                await self._announce(pending)
                if flushes and self.data.partitions.get(partition) is not flushes[0].state:
                    # The partition went away meanwhile: its new owner folds the batch again.
                    return
            await super()._send(partition, flushes, letters, message)

    async def _announce(self, pending: list[Announcement]) -> None:
        producer = internals.kafka_producer(self.app)
        try:
            sent = [await producer.send(self.announces, key=key, value=value) for key, value in pending]
            for future in sent:
                await future
        except Exception as error:
            # Memory holds rows that are not going to be written: this worker starts again from its changelog.
            await self.crash(error)
            raise
        self.announced += len(pending)
        surroundings_of(self.app).observer.sent(self.announces, len(pending))
