"""Workers of one app as a table's changelog sees them: who takes a partition, reads it back, folds and flushes."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.types import TP

from app.stream import BatchedTable, DeadLetterWriter, PartitionView, RecordBatch, RecordBatchSchema
from app.stream.application import batched_app
from tests.eventually import eventually


class Count(msgspec.Struct, frozen=True):
    """How many records of a key were counted."""

    count: int


def fold(view: PartitionView[Count], batch: RecordBatch) -> None:
    """Count each record under its key."""
    for key in batch.keys:
        name = (key or b"").decode()
        row = view.get(name)
        view[name] = Count(1 if row is None else row.count + 1)


def batch_of(topic: str, first: int, stop: int, keys: Sequence[str] = ("a", "b", "c")) -> RecordBatch:
    """The records `first` to `stop` of a source, their keys in turn."""
    records = [
        SimpleNamespace(
            offset=offset, key=keys[offset % len(keys)].encode(), value=b"1", headers=(), timestamp=0
        )
        for offset in range(first, stop)
    ]  # fmt: skip
    return RecordBatch(topic, 0, records, stop, position=first)


async def read_log(bootstrap: str, topic: str) -> list[Any]:
    """All records of partition 0 of a topic, up to its end now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        part = TopicPartition(topic, 0)
        consumer.assign([part])
        await consumer.seek_to_beginning(part)
        end = (await consumer.end_offsets([part]))[part]
        records: list[Any] = []
        while await consumer.position(part) < end:
            for found in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(found)
        return records
    finally:
        await consumer.stop()


class Owner:
    """One worker; each has producers of its own, as each process would. Its topics bear `name`, as its app does."""

    def __init__(self, bootstrap: str, name: str, app_id: str | None = None) -> None:
        self.bootstrap, self.source, self.changelog = bootstrap, f"{name}.source", f"{name}.table"
        self.app = batched_app(app_id or name, bootstrap, partitions=1)
        self.ends: Mapping[TP, int] = {}
        #: Changelog partitions of further tables, which it takes with its own.
        self.changelogs: dict[TP, BatchedTable[Count]] = {}
        self.app._consumer = SimpleNamespace(
            assignment=lambda: set(self.ends),
            highwaters=self._highwaters,
            begin_where_tables_are=lambda _: asyncio.sleep(0),
        )
        self.app.crash = self._crash
        self.crashed: list[BaseException] = []
        self.table = BatchedTable[Count](
            self.app, name="table", changelog_topic=self.app.topic(self.changelog, schema=RecordBatchSchema()),
            sources=[self.source], encode=msgspec.json.encode, decode=msgspec.json.Decoder(Count).decode,
            dead_letters=DeadLetterWriter(self.app, f"{name}.dead"),
        )  # fmt: skip
        self.app.finalize()

    async def _highwaters(self, *_: TP) -> Mapping[TP, int]:
        return self.ends

    async def _crash(self, reason: BaseException) -> None:
        self.crashed.append(reason)

    async def take(self, *partitions: int) -> bool:
        """Claim partitions (none named: 0), and read them back; whether the rows of all were kept instead."""
        takeover = self.app.tables.takeover
        own = {TP(self.changelog, partition): self.table for partition in partitions or (0,)}
        takeover.assign(own | self.changelogs, ())
        await takeover.keep()
        kept = not takeover.pending
        takeover.begin()

        async def taken() -> bool:
            return not takeover.pending or bool(self.crashed)

        await eventually(taken, timeout_s=30)
        return kept

    async def fold(self, first: int, stop: int, keys: Sequence[str] = ("a", "b", "c")) -> None:
        """Fold records of the source; returns when they are on their way."""
        await self.table.fold(batch_of(self.source, first, stop, keys), fold)

    @property
    def counted(self) -> int | None:
        """How many records its rows count; None where it has none."""
        state = self.table.owned.get(0)
        return None if state is None else sum(row.count for row in state.rows.values())


@asynccontextmanager
async def owners(
    bootstrap: str, name: str, number: int, partitions: int = 1, changelog: Mapping[str, str] | None = None
) -> AsyncIterator[list[Owner]]:
    """So many workers of an app with a table, of one partition where no other number is given.

    `changelog` are settings of the changelog's topic, on top of those that every one has.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    compact = {"cleanup.policy": "compact", "max.message.bytes": "16777216", **(changelog or {})}
    await admin.create_topics(
        [
            NewTopic(f"{name}.source", partitions, 1),
            NewTopic(f"{name}.table", partitions, 1, topic_configs=compact),
            NewTopic(f"{name}.dead", 1, 1),
        ]
    )
    await admin.close()
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(started(Owner(bootstrap, name))) for _ in range(number)]


@asynccontextmanager
async def started(owner: Owner) -> AsyncIterator[Owner]:
    """A worker while it runs."""
    await owner.app.producer.start()
    try:
        yield owner
    finally:
        await owner.table.flushing.drain(5.0)
        await owner.app.tables.takeover.close()
        await owner.app.producer.stop()


async def make_source_anew(owner: Owner) -> None:
    """Delete the source topic, and make one of its name."""
    admin = AIOKafkaAdminClient(bootstrap_servers=owner.bootstrap)
    await admin.start()
    await admin.delete_topics([owner.source])

    async def made() -> bool:
        answer = await admin.create_topics([NewTopic(owner.source, 1, 1)])
        return bool(answer.topic_errors[0][1] == 0)

    await eventually(made, timeout_s=20)
    await admin.close()


async def rows_of(owner: Owner) -> dict[str, Any]:
    """The newest row of each key in the changelog, as anyone reads it."""
    rows: dict[str, Any] = {}
    for record in await read_log(owner.bootstrap, owner.changelog):
        rows[record.key.decode()] = record.value
    return {key: msgspec.json.decode(value, type=Count) for key, value in rows.items() if value is not None}
