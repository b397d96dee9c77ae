"""What a table has under way to Kafka: sent in the order of its folds, acknowledged once Kafka has it."""

import asyncio
from typing import Any, Protocol

import structlog

from app.stream import internals
from app.stream.dead_letters import DeadLetterWriter, Letter
from app.stream.errors import ForeignWriteError
from app.stream.folding import Flush
from app.stream.surroundings import Surroundings, TableObserver
from app.stream.under_way import UnderWay
from app.stream.watchdog import end_soon

log = structlog.get_logger(__name__)

#: Flushes under way per partition before a fold waits for the oldest. One keeps the broker busy
#: while the next batch is folded; more only defer the acknowledgement.
MAX_FLUSHES_UNDER_WAY = 4


class Flushed(Protocol):
    """What this needs of a table."""

    app: Any
    name: str
    dead_letters: DeadLetterWriter
    observer: TableObserver
    around: Surroundings

    @property
    def changelog_topic_name(self) -> str:
        """Where its flushes go."""

    @property
    def should_stop(self) -> bool:
        """Whether the worker is ending already."""

    async def crash(self, reason: BaseException) -> None:
        """End the worker."""


class Flushing:
    """The flushes of a table's partitions that Kafka has not acknowledged yet."""

    def __init__(self, table: Flushed) -> None:
        self._table = table
        self._under_way: dict[int, UnderWay] = {}
        self._sending: dict[int, asyncio.Lock] = {}
        self._completions: set[asyncio.Task[None]] = set()

    def under_way(self) -> int:
        """How many flushes there are."""
        return sum(map(len, list(self._under_way.values())))

    def forget(self) -> None:
        """No partition is ours any more; what is still under way ends by itself."""
        self._under_way.clear()
        self._sending.clear()

    async def drain(self) -> None:
        """Wait until Kafka has every flush."""
        while self._completions:
            await asyncio.wait(set(self._completions))

    async def send(self, partition: int, flushes: list[Flush], letters: list[Letter], message: Any) -> None:
        """Send flushes and dead letters of a batch; `message` is acknowledged once Kafka has them.

        Returns when they are on their way and few others are. Raises what hinders that, and ends the worker.
        """
        if not flushes and not letters:
            return
        if message is not None:
            message.incref()
        under_way = self._under_way.setdefault(partition, UnderWay())
        under_way.add(len(flushes))
        # The lock is fair and nothing is awaited between a fold and here, so that flushes go out in
        # the order in which they were folded, whichever agent folded them.
        try:
            async with self._sending.setdefault(partition, asyncio.Lock()):
                producer, topic = internals.kafka_producer(self._table.app), self._table.changelog_topic_name
                for flush in flushes:
                    flush.future = await producer.send_batch(flush.builder, topic, partition=partition)
                    flush.builder = None
        except BaseException as error:
            under_way.done(len(flushes))
            if isinstance(error, Exception) and not self._table.should_stop:
                # Memory holds rows that are not going to be written: this worker starts again.
                await self.fail(error)
            raise
        task = asyncio.ensure_future(self._complete(under_way, flushes, letters, message))
        self._completions.add(task)
        task.add_done_callback(self._completions.discard)
        await under_way.fewer_than(MAX_FLUSHES_UNDER_WAY)

    async def fail(self, error: Exception) -> None:
        """End this worker: what it holds in memory is not what Kafka has."""
        log.error("flush_failed", table=self._table.name, error=repr(error))
        end_soon()
        await self._table.crash(error)

    async def _complete(self, under_way: UnderWay, flushes: list[Flush], letters: list[Letter], message: Any) -> None:
        left = len(flushes)
        try:
            if letters:
                await self._table.dead_letters.send(letters)
            for flush in flushes:
                metadata = await flush.future
                left -= 1
                under_way.done(1)
                self._check_place(flush, metadata.offset)
                topic, around = self._table.changelog_topic_name, self._table.around
                took_s = (around.clock.wall_ns() - flush.made_ns) / 1e9
                self._table.observer.flushed(topic, flush.records, took_s, flush.received_ns)
                if flush.trace is not None:
                    around.traces.finished(f"flush {topic}", flush.trace, flush.made_ns)
            if message is not None:
                message.ack(self._table.app.consumer)
        except Exception as error:
            await self.fail(error)
        finally:
            under_way.done(left)

    def _check_place(self, flush: Flush, offset: int) -> None:
        state = flush.state
        expected = state.next_changelog_offset
        if offset >= 0:
            state.next_changelog_offset = offset + flush.records
            if expected is not None and offset != expected:
                raise ForeignWriteError(
                    f"{self._table.changelog_topic_name}[{state.partition}]: expected to append at {expected}, was at "
                    f"{offset}: another process writes this partition; this worker ends and starts again"
                )
