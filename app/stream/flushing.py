"""What a table has under way to Kafka: sent in the order of its folds, acknowledged once Kafka has it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from aiokafka.errors import ProducerFenced

from app.stream.dead_letters import DeadLetterWriter
from app.stream.errors import ForeignWriteError
from app.stream.failing import fail, failure_of
from app.stream.folding import Flush
from app.stream.letters import Letter
from app.stream.surroundings import Surroundings, TableObserver
from app.stream.under_way import UnderWay

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

    def is_owned(self, state: Any) -> bool:
        """Whether a state is the one that counts now."""

    def taken(self, state: Any) -> None:
        """The broker has refused a flush of a state: another worker has its partition."""


@dataclass(slots=True)
class _Sending:
    """What one fold or write wants sent, in the order in which it has to be in Kafka."""

    state: Any
    letters: list[Letter]
    before: Callable[[], Awaitable[None]] | None
    flushes: list[Flush]
    message: Any

    @property
    def size(self) -> int:
        return max(1, len(self.flushes))


class _Line:
    """What waits to be sent of one partition, and how much is not acknowledged yet."""

    __slots__ = ("runner", "under_way", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Sending] = deque()
        self.under_way = UnderWay()
        self.runner: asyncio.Task[None] | None = None


class Flushing:
    """The flushes of a table's partitions that Kafka has not acknowledged yet."""

    def __init__(self, table: Flushed) -> None:
        self._table = table
        self._lines: dict[int, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def under_way(self, partition: int | None = None) -> int:
        """How many flushes there are, of one partition or of all."""
        lines = list(self._lines.values()) if partition is None else [self._lines.get(partition, _Line())]
        return sum(len(line.under_way) for line in lines)

    def forget(self, partition: int) -> None:
        """A partition is not ours any more; what is still under way ends by itself."""
        self._lines.pop(partition, None)

    async def drain(self, timeout_s: float | None = None) -> None:
        """Wait until Kafka has every flush, or until the time is over."""
        loop = asyncio.get_running_loop()
        until_s = None if timeout_s is None else loop.time() + timeout_s
        while self._tasks:
            left_s = None if until_s is None else until_s - loop.time()
            if left_s is not None and left_s <= 0:
                log.warning("flushes_left", table=self._table.name, flushes=self.under_way())
                return
            await asyncio.wait(set(self._tasks), timeout=left_s)

    async def send(
        self,
        state: Any,
        flushes: list[Flush],
        letters: list[Letter],
        message: Any,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Send flushes and dead letters of a batch; `message` is acknowledged once Kafka has them.

        They take their place at once: what is called in order is sent in order. Letters, and what `before()` sends,
        are in Kafka before the flushes that follow from them. Returns when few others are under way. What hinders
        that ends the worker; of a state that another worker has by now nothing is sent.
        """
        if not flushes and not letters and before is None:
            return
        if message is not None:
            message.incref()
        line = self._lines.setdefault(state.partition, _Line())
        sending = _Sending(state, letters, before, flushes, message)
        line.under_way.add(sending.size)
        line.waiting.append(sending)
        if line.runner is None or line.runner.done():
            line.runner = self._started(self._run(line))
        await line.under_way.fewer_than(MAX_FLUSHES_UNDER_WAY)

    def _started(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, line: _Line) -> None:
        while line.waiting:
            sending = line.waiting.popleft()
            try:
                if await self._sent(sending):
                    self._started(self._complete(line.under_way, sending))
                    continue
            except Exception as error:
                self._failed(sending.state, error)
            line.under_way.done(sending.size)

    async def _sent(self, sending: _Sending) -> bool:
        """Hand everything to Kafka in order; whether it still counted."""
        table, state = self._table, sending.state
        if sending.letters:
            await table.dead_letters.send(sending.letters, table.name)
        if sending.before is not None and self._counts(state):
            await sending.before()
        if not self._counts(state):
            return False
        topic = table.changelog_topic_name
        for flush in sending.flushes:
            # With the writer of its own state: where that one is lost meanwhile, the broker refuses it.
            flush.future = await state.writer.producer.send_batch(flush.builder, topic, partition=state.partition)
            flush.builder = None
        return True

    def _counts(self, state: Any) -> bool:
        return failure_of(self._table.app) is None and self._table.is_owned(state)

    def _failed(self, state: Any, error: Exception) -> None:
        if not self._table.is_owned(state):
            return  # Its new owner reads what Kafka has, and folds the rest again.
        if isinstance(error, ProducerFenced):
            self._table.taken(state)
        else:
            # Memory holds rows that are not going to be written.
            fail(self._table.app, error)

    async def _complete(self, under_way: UnderWay, sending: _Sending) -> None:
        left = sending.size
        try:
            for flush in sending.flushes:
                metadata = await flush.future
                left -= 1
                under_way.done(1)
                self._check_place(sending.state, flush, metadata.offset)
                self._observe(flush)
            if sending.message is not None and failure_of(self._table.app) is None:
                sending.message.ack(self._table.app.consumer)
        except Exception as error:
            self._failed(sending.state, error)
        finally:
            under_way.done(left)

    def _observe(self, flush: Flush) -> None:
        topic, around = self._table.changelog_topic_name, self._table.around
        took_s = (around.clock.wall_ns() - flush.made_ns) / 1e9
        self._table.observer.flushed(topic, flush.records, took_s, flush.received_ns)
        if flush.trace is not None:
            around.traces.finished(f"flush {topic}", flush.trace, flush.made_ns)

    def _check_place(self, state: Any, flush: Flush, offset: int) -> None:
        expected = state.next_changelog_offset
        if offset >= 0:
            state.next_changelog_offset = offset + flush.records
            if expected is not None and offset != expected:
                raise ForeignWriteError(
                    f"{self._table.changelog_topic_name}[{state.partition}]: expected to append at {expected}, was at "
                    f"{offset}: a process that is no worker of {self._table.app.conf.id} writes this partition; "
                    "find it and stop it; this worker ends and reads what is there when it is started again"
                )
