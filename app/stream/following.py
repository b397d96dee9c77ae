"""Reads changelogs beside the consumer group: of partitions that are taken over, and of those that are stood by for.

The group's own consumer reads the sources, so that partitions which this worker keeps go on while what it gains is
read back. What was read of a changelog partition stays for as long as it is followed, over rebalances too: a takeover
claims the partition and reads on from there, a standby has little left to read.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from aiokafka import TopicPartition
from faust.types import TP

from app.stream import internals
from app.stream.batches import RecordBatch
from app.stream.contact import contact_of
from app.stream.errors import EngineError
from app.stream.failing import fail
from app.stream.partition import PartitionRecovery

log = structlog.get_logger(__name__)

#: How long one look for new records waits.
LOOK_S = 0.5

#: How long a reader that is told to stop may take: it has nothing to hand over.
STOP_WITHIN_S = 2.0


class Following:
    """The changelog partitions that this worker reads, and what it has read of them.

    `is_shared` says whether partitions are folded meanwhile, which then have half of the time.
    """

    def __init__(self, app: Any, is_shared: Callable[[], bool]) -> None:
        self._app, self._is_shared = app, is_shared
        self._found: dict[TP, PartitionRecovery[Any]] = {}
        self._refused: dict[TP, EngineError] = {}
        self._moved = asyncio.Event()
        self._reader: Any = None
        self._reading = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, tp: TP) -> bool:
        return tp in self._found

    def found(self, tp: TP) -> PartitionRecovery[Any]:
        """What was read of a partition that is followed."""
        return self._found[tp]

    def follow(self, tps: Collection[TP]) -> None:
        """Follow these partitions from now on, each from where it stands, and no others."""
        wanted = set(tps)
        if wanted == self._found.keys() and not self._refused:
            return
        kept = self._found
        self._found = {tp: kept[tp] if tp in kept and tp not in self._refused else _afresh(tp) for tp in wanted}
        self._refused.clear()
        if self._found and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._read())
        elif self._reader is not None:
            self._assign()

    async def reached(self, tp: TP, offset: int) -> PartitionRecovery[Any]:
        """Wait until the record at an offset was read: what was read of the partition so far.

        Raises `UnreadableRowError` and `SkippedRecordsError` where the changelog cannot be read.
        """
        while (self._found[tp].next_offset or 0) <= offset:
            if tp in self._refused:
                raise self._refused[tp]
            await self._moved.wait()
        return self._found[tp]

    async def ends(self, tps: Collection[TP]) -> dict[TP, int]:
        """Where partitions that are followed end now."""
        await self._reading.wait()
        parts = {TopicPartition(*tp): tp for tp in tps}
        found = await contact_of(self._app).until_answered(partial(self._reader.end_offsets, list(parts)))
        return {parts[part]: int(end) for part, end in found.items()}

    async def read_to(self, tp: TP, end: int) -> PartitionRecovery[Any]:
        """Wait until a partition was read up to where it ended: what was read of it so far. Raises as `reached`."""
        part = TopicPartition(*tp)
        while (self._found[tp].next_offset or 0) < end:
            if tp in self._refused:
                raise self._refused[tp]
            if await self._reader.position(part) >= end:
                break  # Nothing is left of what was there: it was deleted.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._moved.wait()
        return self._found[tp]

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=STOP_WITHIN_S)

    async def _read(self) -> None:
        reader: Any = None
        try:
            reader = self._reader = await contact_of(self._app).until_answered(self._started_reader)
            self._assign()
            self._reading.set()
            while True:
                async for tp, batch in internals.each_fetched(reader, LOOK_S, self._is_shared):
                    self._take(TP(*tp), batch)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            fail(self._app, error)
        finally:
            self._reader = None
            self._reading.clear()
            if reader is not None:
                with suppress(Exception):
                    async with asyncio.timeout(STOP_WITHIN_S):
                        await reader.stop()

    async def _started_reader(self) -> Any:
        reader = internals.new_reader(self._app)
        contact_of(self._app).listen(reader._client)
        try:
            await reader.start()
        except BaseException:
            await internals.give_up_consumer(reader)
            raise
        return reader

    def _assign(self) -> None:
        """Read what is followed now, each partition from where it stands."""
        readable = {tp: found for tp, found in self._found.items() if tp not in self._refused}
        internals.read_from(self._reader, {tp: found.next_offset for tp, found in readable.items()})

    def _take(self, tp: TP, batch: RecordBatch) -> None:
        found = self._found.get(tp)
        if found is None or tp in self._refused:
            return
        try:
            if found.next_offset is not None and batch.position != found.next_offset:
                # aiokafka goes to the start of a log that does not have the offset any more.
                log.warning("changelog_read_anew", at=f"{tp.topic}[{tp.partition}]", expected=found.next_offset)
                found.begin_anew()
            found.apply(batch)
        except EngineError as error:
            # Who takes the partition over is told; a standby for it ends nothing.
            log.warning("changelog_not_followed", at=f"{tp.topic}[{tp.partition}]", error=str(error))
            self._refused[tp] = error
            self._assign()
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()


def _afresh(tp: TP) -> PartitionRecovery[Any]:
    return PartitionRecovery(tp.partition)
