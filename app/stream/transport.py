"""A Faust transport that hands the records of a poll over as one message.

    app = faust.App("scanner", broker="batched://127.0.0.1:9092")

It is found by the URL's scheme through the entry point `faust.transports`. Topics whose schema is
a `RecordBatchSchema` are batched; all others go on as Faust's aiokafka driver has them.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from app.stream import internals
from app.stream.batches import RecordBatch
from app.stream.consumer_thread import ConsumerThread
from app.stream.contact import contact_of
from app.stream.failing import failure_of
from app.stream.ledger import Ledger
from app.stream.message import BatchMessage
from app.stream.producing import stop_producer
from app.stream.recovery import is_batched
from app.stream.schema import RecordBatchSchema
from app.stream.surroundings import surroundings_of

#: Records that belong to no table have this long to arrive when a worker stops; a stop has 20 s in all.
STOP_WITHIN_S = 3.0


class Consumer(driver.Consumer):
    """Faust's consumer with batches as messages and commits by stretches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Names of the topics that are delivered in batches.
        self.batched_topics: set[str] = set()
        self.ledger = Ledger()
        #: Generation of the group in which the last records were read.
        self.read_generation = 0
        self._revocations = 0
        self._sought_generation: int | None = None
        self._released_generation: int | None = None
        self._released = asyncio.Event()
        self._changelogs: frozenset[str] = frozenset()
        self._table_sources: frozenset[str] = frozenset()
        #: Records read since the start, by topic; those of changelogs are read at a recovery.
        self.received: Counter[str] = Counter()
        self.around = surroundings_of(self.app)

    @property
    def sources_held(self) -> bool:
        """Whether no source is read now, because positions or tables are not those of this generation yet.

        Faust lets the sources go before it seeks, and empties the streams' queues after that: what arrived in
        between would be lost, its offset passed over. Its own `app.rebalancing` does not tell: the end of one
        recovery clears it while the next rebalance has begun.
        """
        if failure_of(self.app) is not None:
            return True
        return self._released_generation is None or self._released_generation != self.app.consumer_generation_id

    def is_held(self, tp: Any) -> bool:
        """Whether nothing of a partition is read here now: it is a table's changelog, or waits for its takeover."""
        if tp.topic in self._changelogs:
            return True
        return tp.partition in self.app.tables.takeover.pending and tp.topic in self._table_sources

    def resume_flow(self) -> None:
        """Let records flow; sources too once the positions of this generation are sought."""
        super().resume_flow()
        if self._sought_generation == self.app.consumer_generation_id:
            self._released_generation = self._sought_generation
            self._released.set()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Subscribe, noting which of the topics ask for batches."""
        self.batched_topics = {
            name
            for topic in internals.declared_topics(self.app)
            if isinstance(topic.schema, RecordBatchSchema)
            for name in topic.topics
        }
        tables = [table for table in self.app.tables.values() if is_batched(table)]
        self._changelogs = frozenset(table.changelog_topic_name for table in tables)
        self._table_sources = frozenset(topic for table in tables for topic in table.sources)
        await super().subscribe(topics)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """The next messages: one per partition for batched topics, one per record for others."""
        if self.flow_active and self._buffered_partitions and not self._get_active_partitions():
            await self.sleep(internals.HELD_BACK_POLL_S)
            return
        found, active = await self._wait_next_records(timeout)
        generation = self.read_generation
        if not found or self.should_stop or self.app.consumer_generation_id != generation:
            return
        for tp, records in found.items():
            for message in self._messages(tp, records, generation):
                # What is left unread here is read again: every rebalance ends with a seek.
                if not self.flow_active or self.app.consumer_generation_id != generation:
                    return
                if active is None or tp in active or tp in self._buffered_partitions:
                    yield tp, message

    def _messages(self, tp: TP, records: Any, generation: int) -> Iterator[Any]:
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        if not isinstance(records, RecordBatch):
            for record in records:
                yield self._to_message(tp, record)
            return
        self._note(tp.topic, len(records))
        message = BatchMessage(tp, records, generation)
        if self.app.topics.acks_enabled_for(tp.topic):
            message.stretch = self.ledger.deliver(tp, records.next_offset)
        yield message

    def _note(self, topic: str, records: int) -> None:
        self.received[topic] += records
        self.around.observer.read(topic, records)

    def ack(self, message: Any) -> bool:
        """Mark a message as processed; a batch counts for all of its stretch."""
        if not isinstance(message, BatchMessage):
            return bool(super().ack(message))
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        if message.stretch is not None and message.generation_id == self.app.consumer_generation_id:
            self.ledger.acknowledge(message.tp, message.stretch)
            self._n_acked += len(message.batch)
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        for tp in self.ledger:
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        if failure_of(self.app) is not None:
            return None  # What this worker still acknowledges may never have counted.
        if tp.topic in self.batched_topics:
            # Faust's compiled stream does not call `ack`: it writes what it finished here.
            for offset in self._acked[tp]:
                self.ledger.acknowledge_end(tp, offset + 1)
            self._acked[tp].clear()
            self._acked_index[tp].clear()
            return self.ledger.committable(tp)
        return super()._new_offset(tp)  # type: ignore[no-any-return]

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self.batched_topics:
            await super()._add_gap(tp, offset_from, offset_to)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was delivered of partitions that go away; hold the sources until they are sought again."""
        self._revocations += 1
        self._sought_generation = self._released_generation = None
        self._released.clear()
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self.ledger.forget(tp)

    async def perform_seek(self) -> None:
        """Seek to the committed offsets, or where the tables' recovered state says otherwise."""
        began = self.app.consumer_generation_id, self._revocations
        await super().perform_seek()
        assignment = self.assignment()
        for tp in assignment:
            self.ledger.forget(tp)
            if tp.topic in self.batched_topics:
                self._acked.pop(tp, None)
                self._acked_index.pop(tp, None)
            await self._seek_to_tables(tp)
        if began == (self.app.consumer_generation_id, self._revocations):
            self._sought_generation = began[0]

    async def begin_where_tables_are(self, partition: int) -> None:
        """Seek the sources of a partition that was taken over, once those of all others flow."""
        await self._released.wait()
        for tp in self.assignment():
            if tp.partition == partition and tp.topic in self._table_sources:
                self.ledger.forget(tp)
                await self._seek_to_tables(tp)

    async def _seek_to_tables(self, tp: TP) -> None:
        offset = self._resume_at(tp)
        if offset is not None:
            await self.seek(tp, offset)
            self.ledger.resume(tp, offset)
            # Faust passes over acknowledgements of what is before the committed offset: a first batch that ends there
            # would stay open for ever, and with it all commits of the partition.
            if (self._committed_offset.get(tp) or 0) > offset:
                self._committed_offset[tp] = offset

    def _resume_at(self, tp: TP) -> int | None:
        """The least offset that the tables fed by this partition have covered; None: as committed."""
        tables = [table for table in self.app.tables.values() if tp.topic in getattr(table, "sources", ())]
        if not tables:
            return None
        committed = self._committed_offset.get(tp) or 0
        covered = [table.covered(tp.topic, tp.partition) for table in tables]
        if all(offset is None for offset in covered):
            return None
        return min(committed if offset is None else offset for offset in covered)


class Producer(driver.Producer):
    """Faust's producer, idempotent: a retry neither loses, doubles nor reorders a record. It waits for brokers."""

    _producer: Any

    def _settings_extra(self) -> Mapping[str, Any]:
        return {**super()._settings_extra(), "acks": "all", "enable_idempotence": True}

    def _new_producer(self, transactional_id: str | None = None) -> Any:
        return internals.lasting(super()._new_producer(transactional_id), contact_of(self.app))

    async def on_start(self) -> None:
        """Start the producer, as soon as a broker answers."""
        await contact_of(self.app).until_answered(self._start)

    async def _start(self) -> None:
        try:
            await super().on_start()
        except BaseException:
            await stop_producer(self._ensure_producer(), STOP_WITHIN_S)
            raise

    async def on_stop(self) -> None:
        """Stop the producer; what brokers do not take within some seconds is left."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_producer(producer, STOP_WITHIN_S)
        await super().on_stop()

    async def send(self, topic: str, *args: Any, **kwargs: Any) -> Any:
        """Send one record, counted when it is acknowledged."""
        sending = await super().send(topic, *args, **kwargs)
        sending.add_done_callback(lambda done: self._count(topic, done))
        return sending

    def _count(self, topic: str, done: Any) -> None:
        if not done.cancelled() and done.exception() is None:
            surroundings_of(self.app).observer.sent(topic, 1)


class Transport(driver.Transport):
    """The transport of `batched://` URLs."""

    Consumer: ClassVar[Any] = Consumer
    Producer: ClassVar[Any] = Producer
