"""Reads the public topics from their beginning, for ever, into the view.

It belongs to no consumer group: every gateway reads all partitions. Whoever has read up to the ends
that were there at its start has the tables.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from app import clock
from app.background import Background
from app.errors import StalledError, TopicMismatch
from app.kafka.access import Brokers, KafkaAccess
from app.kafka.admin import admin_client
from app.kafka.consuming import consuming
from app.kafka.topics import MAX_MESSAGE_BYTES
from app.observability import tracing

log = structlog.get_logger(__name__)

#: Rows of one poll. 5,000 take 10 ms to take in: clients wait no longer than that for the loop.
MAX_POLL_RECORDS = 5000
#: A partition that was added later is noticed after this long.
METADATA_MAX_AGE_MS = 10_000
#: A broker answers a fetch within half a second, with records or without; a paused one is given up after this long.
REQUEST_TIMEOUT_MS = 10_000
#: A table whose partitions have not all answered for this long is not followed any more: the gateway is not ready.
STALE_S = 8.0
#: After this long without an answer the consumer is replaced, in case it is at fault and not Kafka.
REPLACED_S = 20.0
#: How often it is looked at which partitions have answered.
LOOK_S = 0.5

Changed = TypeVar("Changed")


class Copy(Protocol[Changed]):
    """What takes records in."""

    @property
    def records_read(self) -> int:
        """How many it has taken in."""

    def apply(self, topic: str, pairs: Iterable[tuple[bytes | None, bytes | None]]) -> list[Changed]:
        """Take in keys and values (None deletes) of a topic; what changed."""


class TableReader(Generic[Changed]):
    """One consumer over all partitions of some topics; an async context manager.

    `on_change` is called with the records of each batch that changed. The reader survives brokers that are away: it
    goes on from where it stood. An error of the view itself is `failed`: what is in memory is not what Kafka has.
    """

    def __init__(
        self,
        brokers: Brokers,
        view: Copy[Changed],
        topics: Sequence[str],
        on_change: Callable[[list[Changed]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._access = KafkaAccess.of(brokers)
        self._view, self._topics, self._on_change, self._failed = view, topics, on_change, failed
        self._positions: dict[TopicPartition, int] = {}
        #: Records read since the start, by topic.
        self.read: Counter[str] = Counter()
        self._missing: dict[TopicPartition, int] = {}
        #: Set while all has been read that was there when reading began, also after an outage.
        self.caught_up = asyncio.Event()
        self._trouble: str | None = "not connected to Kafka yet"
        #: When each partition was last answered for: the broker's stamp (ms), and our own clock (s).
        self._answered: dict[TopicPartition, tuple[int | None, float]] = {}
        self._looked_s = 0.0
        passing = (KafkaError, OSError, TimeoutError, TopicMismatch, StalledError)
        self._task = Background("table-reader", self._read, passing, self._fail, self._note_trouble)

    async def __aenter__(self) -> Self:
        await self._task.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._task.__aexit__()

    def reasons(self) -> list[str]:
        """Why the view cannot be relied on now; empty: it is complete and follows the topics."""
        if self._trouble:
            return [self._trouble]
        behind = sum(end - self._positions.get(tp, 0) for tp, end in self._missing.items())
        reasons = [f"reading the tables: {behind} records to go"] if behind else []
        return reasons + [
            f"{topic}: Kafka at {self._access.bootstrap_servers} has not answered for {age_s:.0f} s"
            for topic, age_s in self.ages().items()
            if age_s > STALE_S
        ]

    def ages(self) -> dict[str, float]:
        """Seconds since Kafka last answered for all partitions of each topic; empty before the first connection."""
        now_s, ages = clock.monotonic_s(), dict[str, float]()
        for tp, (_, at_s) in self._answered.items():
            ages[tp.topic] = max(ages.get(tp.topic, 0.0), now_s - at_s)
        return ages

    def _note_trouble(self, reason: str) -> None:
        self._trouble = f"Kafka at {self._access.bootstrap_servers}: {reason}"
        self.caught_up.clear()

    def _fail(self, error: Exception) -> None:
        self._note_trouble(f"the tables are not read any more: {error!r}")
        self._failed(error)

    async def _read(self) -> None:
        partitions = await self._partitions()
        async with consuming(
            self._access,
            "gateway",
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            retry_backoff_ms=200,
        ) as consumer:
            await self._follow(consumer, partitions)

    async def _partitions(self) -> list[TopicPartition]:
        found: list[TopicPartition] = []
        async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000), admin_client(self._access) as admin:
            for topic in await admin.describe_topics(list(self._topics)):
                if not topic["partitions"]:
                    raise TopicMismatch(f"topic {topic['topic']} does not exist yet")
                found += (TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"])
        return sorted(found)

    async def _follow(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Read for as long as Kafka answers. Raises `TopicMismatch` when the partitions change, `StalledError`."""
        consumer.assign(partitions)
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        for tp in partitions:
            if not begins[tp] <= self._positions.get(tp, -1) <= ends[tp]:
                self._positions[tp] = begins[tp]
            consumer.seek(tp, self._positions[tp])
        self._missing = {tp: end for tp, end in ends.items() if end > self._positions[tp]}
        self._answered = {tp: (None, clock.monotonic_s()) for tp in partitions}
        self._trouble = None
        self._note_progress()
        while True:
            batches = await consumer.getmany(timeout_ms=1000, max_records=MAX_POLL_RECORDS)
            for tp, records in batches.items():
                self._take(tp, records)
            if self._missing:
                self._note_progress()
            if clock.monotonic_s() - self._looked_s > LOOK_S:
                self._look(consumer, batches)
            # getmany returns at once while there is more: others on the loop get their turn here
            await asyncio.sleep(0)

    def _look(self, consumer: AIOKafkaConsumer, taken: Iterable[TopicPartition]) -> None:
        """Note which partitions have answered. Raises where the consumer is to be replaced."""
        now_s = self._looked_s = clock.monotonic_s()
        for tp, (stamp, at_s) in self._answered.items():
            newest = consumer.last_poll_timestamp(tp)
            # While a partition's records are still to be taken nothing more of it is asked for.
            self._answered[tp] = (newest, now_s if newest != stamp or tp in taken else at_s)
        oldest_s = max((now_s - at_s for _, at_s in self._answered.values()), default=0.0)
        if oldest_s > REPLACED_S:
            raise StalledError(f"no answer for {oldest_s:.0f} s")
        for topic in self._topics:
            known = consumer.partitions_for_topic(topic)
            if known and len(known) != sum(tp.topic == topic for tp in self._answered):
                raise TopicMismatch(f"topic {topic} has {len(known)} partitions now: reading begins with all of them")

    def _take(self, tp: TopicPartition, records: Sequence[Any]) -> None:
        traces = tracing.headers_in(records) if tracing.enabled() else ()
        with tracing.continued("deliver", traces, **{"messaging.destination.name": tp.topic}):
            changed = self._view.apply(tp.topic, ((record.key, record.value) for record in records))
            self._positions[tp] = records[-1].offset + 1
            self.read[tp.topic] += len(records)
            if changed:
                self._on_change(changed)

    def _note_progress(self) -> None:
        self._missing = {tp: end for tp, end in self._missing.items() if self._positions[tp] < end}
        if not self._missing and not self.caught_up.is_set():
            self.caught_up.set()
            log.info("tables_read", topics=list(self._topics), records=self._view.records_read)
