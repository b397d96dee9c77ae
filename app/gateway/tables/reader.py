"""Reads the public topics from their beginning, for ever, into the view.

It belongs to no consumer group: every gateway reads all partitions. Whoever has read up to the ends
that were there at its start has the tables.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app import clock
from app.kafka.access import Brokers, KafkaAccess
from app.kafka.topics import MAX_MESSAGE_BYTES
from app.observability import tracing

log = structlog.get_logger(__name__)

#: Rows of one poll. 5,000 take 10 ms to take in: clients wait no longer than that for the loop.
MAX_POLL_RECORDS = 5000
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.2, 10.0
#: Until the tables were read once it tries again this often: Kafka may be starting beside the gateway.
START_BACKOFF_S = 0.4
#: A partition that was added later, and a broker that is away, are noticed after this long.
PARTITIONS_CHECK_S = 10.0


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

    `on_change` is called with the records of each batch that changed. The reader survives a broker that
    is away: it tries again with back-off from where it stood.
    """

    def __init__(
        self,
        brokers: Brokers,
        view: Copy[Changed],
        topics: Sequence[str],
        on_change: Callable[[list[Changed]], None],
    ) -> None:
        self._access = KafkaAccess.of(brokers)
        self._view, self._topics, self._on_change = view, topics, on_change
        self._positions: dict[TopicPartition, int] = {}
        #: Records read since the start, by topic.
        self.read: Counter[str] = Counter()
        self._missing: dict[TopicPartition, int] = {}
        #: Set once the ends that were there at the start have been read.
        self.caught_up = asyncio.Event()
        self._trouble: str | None = "not connected to Kafka yet"
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="table-reader")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def reasons(self) -> list[str]:
        """Why the view cannot be relied on now; empty: it is complete and follows the topics."""
        reasons = [self._trouble] if self._trouble else []
        if not self.caught_up.is_set() and not self._trouble:
            behind = sum(end - self._positions.get(tp, 0) for tp, end in self._missing.items())
            reasons.append(f"reading the tables: {behind} records to go")
        return reasons

    async def _run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            started_s = clock.monotonic_s()
            try:
                await self._read()
            except (KafkaError, OSError, TimeoutError) as error:
                self._trouble = f"Kafka at {self._access.bootstrap_servers}: {type(error).__name__} {error}".strip()
                log.warning("table_reader_failed", error=repr(error), retry_s=backoff_s)
            if clock.monotonic_s() - started_s > 2 * MAX_BACKOFF_S:
                backoff_s = FIRST_BACKOFF_S
            await asyncio.sleep(backoff_s)
            backoff_s = min(backoff_s * 2, MAX_BACKOFF_S if self.caught_up.is_set() else START_BACKOFF_S)

    async def _read(self) -> None:
        admin = AIOKafkaAdminClient(**self._access.options("gateway"))
        consumer = AIOKafkaConsumer(
            **self._access.options("gateway"),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            retry_backoff_ms=200,
        )
        try:
            await admin.start()
            await consumer.start()
            if partitions := await self._partitions(admin):
                await self._follow(admin, consumer, partitions)
        finally:
            await consumer.stop()
            await admin.close()

    async def _partitions(self, admin: AIOKafkaAdminClient) -> list[TopicPartition]:
        found: list[TopicPartition] = []
        for topic in await admin.describe_topics(list(self._topics)):
            if not topic["partitions"]:
                self._trouble = f"topic {topic['topic']} does not exist yet"
                return []
            found += (TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"])
        return sorted(found)

    async def _follow(
        self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]
    ) -> None:
        """Read until the number of partitions changes."""
        consumer.assign(partitions)
        begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        for tp in partitions:
            if not begins[tp] <= self._positions.get(tp, -1) <= ends[tp]:
                self._positions[tp] = begins[tp]
            consumer.seek(tp, self._positions[tp])
        self._missing = {tp: end for tp, end in ends.items() if end > self._positions[tp]}
        self._trouble = None
        self._note_progress()
        check_s = clock.monotonic_s() + PARTITIONS_CHECK_S
        while True:
            batches = await consumer.getmany(timeout_ms=1000, max_records=MAX_POLL_RECORDS)
            for tp, records in batches.items():
                self._take(tp, records)
            if self._missing:
                self._note_progress()
            if clock.monotonic_s() > check_s:
                if len(await self._partitions(admin)) != len(partitions):
                    return
                check_s = clock.monotonic_s() + PARTITIONS_CHECK_S
            # getmany returns at once while there is more: others on the loop get their turn here
            await asyncio.sleep(0)

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
