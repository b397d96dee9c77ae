"""The thread that reads for a Faust consumer: batches where a topic asks for them, brokers waited for."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from aiokafka.errors import ConsumerStoppedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from app.stream import internals
from app.stream.contact import contact_of


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, reading columns where a topic asks for batches."""

    _held_for: object = None

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        internals.limit_fetch_wait(consumer)
        internals.listen_to_consumer(consumer, contact_of(self.app))
        return consumer

    async def on_start(self) -> None:
        """Start the consumer, as soon as a broker answers."""
        await contact_of(self.app).until_answered(self._start)

    async def _start(self) -> None:
        try:
            await super().on_start()
        except BaseException:
            if self._consumer is not None:
                await internals.give_up_consumer(self._consumer)
            raise

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek to the committed offsets, as soon as a broker tells them."""
        return await contact_of(self.app).until_answered(super().seek_to_committed)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Seek, and wait until all positions are known."""
        await contact_of(self.app).until_answered(partial(super().seek_wait, partitions))

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The earliest offsets, as soon as a broker tells them."""
        return await contact_of(self.app).until_answered(partial(super().earliest_offsets, *partitions))

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The ends of partitions, as soon as a broker tells them."""
        return await contact_of(self.app).until_answered(partial(super().highwaters, *partitions))

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None
    ) -> Mapping[Any, Any]:
        if not self.consumer.flow_active:
            return {}
        if consumer._closed or consumer._fetcher._closed:
            raise ConsumerStoppedError
        self._hold(consumer)
        traces = self.consumer.around.traces
        found = await internals.fetched(
            consumer, lambda: self._allowed(active_partitions), timeout or 0.0, self.consumer.batched_topics,
            traces.header if traces.enabled() else None,
        )  # fmt: skip
        # Assignments change in this thread: what was read now is of the generation of now.
        self.consumer.read_generation = self.app.consumer_generation_id
        return found

    def _hold(self, consumer: Any) -> None:
        """Have nothing fetched of what is not read: the tables' changelogs, and sources that wait for a takeover."""
        # A new value takes the place of the old one when it changes.
        now = self.app.consumer_generation_id, self.app.tables.takeover.pending
        if now != self._held_for:
            internals.hold(consumer, self.consumer.is_held)
            self._held_for = now

    def _allowed(self, active: set[TP] | None) -> set[TP] | None:
        """Of the active partitions only Faust's changelogs while the sources are held, else all that is not held."""
        if self.consumer.sources_held:
            changelogs = self.app.tables.changelog_topics
            return None if active is None else {tp for tp in active if tp.topic in changelogs}
        if active is None or not self.app.tables.takeover.pending:
            return active
        return {tp for tp in active if not self.consumer.is_held(tp)}
