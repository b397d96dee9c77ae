"""The tables in a file, and from a file: backup, restore, and more partitions.

A file is JSON lines, compressed (zstd): `{"topic", "key", "value"}` with the row's own JSON as a string,
or base64 under `value_base64`. It holds rows, not offsets: what is restored stands in topics whose
sources begin afresh, so that a file fits any number of partitions. Rows that are made anew from other
tables within seconds (boards, window statistics) are left out.
"""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from app import clock
from app.errors import StartupError, TapereaderError
from app.kafka import topics
from app.kafka.access import COMPRESSION, KafkaAccess
from app.kafka.admin import admin_client, ensure_declared
from app.kafka.topics import MAX_MESSAGE_BYTES, TopicSpec
from app.settings import Settings
from app.stream.batches import RecordBatch
from app.stream.partition import PartitionRecovery

#: Tables whose rows belong to a symbol; their records' keys are `symbol` or `symbol/…`. Window statistics
#: are not in the partition of their symbol, and made anew every few seconds.
KEPT: Final[tuple[TopicSpec, ...]] = tuple(
    spec
    for spec in topics.ALL_TOPICS
    if spec.cleanup == "compact" and spec.key.split("/")[0] == "symbol" and spec is not topics.TRADE_WINDOWS
)

#: Rows written between two looks at Kafka's acknowledgements.
ROWS_AT_A_TIME: Final = 5000

#: A topic that is deleted is gone from the broker's list within this time (s).
DELETED_WITHIN_S: Final = 60.0

#: A topic that was just made is named by the broker within this time (s).
KNOWN_WITHIN_S: Final = 15.0

Progress = Callable[[int, int], None]
Row = tuple[str, bytes, bytes]


class Line(msgspec.Struct, omit_defaults=True):
    """A line of the file."""

    topic: str
    key: str
    value: str | None = None
    value_base64: str | None = None


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Line).decode


async def backup(settings: Settings, path: Path, progress: Progress | None = None) -> dict[str, int]:
    """Write the rows of every kept table into a file; how many of each topic.

    The file is there when it is whole, not before. Raises `OSError`, and `KafkaError` where Kafka fails.
    """
    counts = {spec.name: 0 for spec in KEPT}
    draft = path.with_name(f"{path.name}.part")
    with zstandard.open(draft, "wb") as file:
        async for topic, key, value in _rows(settings, progress):
            file.write(_encode(_line(topic, key, value)) + b"\n")
            counts[topic] += 1
    draft.replace(path)
    return counts


async def restore(settings: Settings, path: Path, progress: Progress | None = None) -> dict[str, int]:
    """Write a file's rows into their topics, which are made where they are missing; how many of each.

    Raises `TapereaderError` where a table is not empty or the file cannot be read.
    """
    await ensure_declared(settings, topics.ALL_TOPICS)
    filled = {name: records for name, records in (await _sizes(settings)).items() if records}
    if filled:
        name, records = next(iter(filled.items()))
        raise TapereaderError(
            f"topic {name} holds {records} records: a backup is restored into empty tables only; stop the workers, "
            "delete the topics, or use another Kafka"
        )
    counts = {spec.name: 0 for spec in KEPT}
    access = KafkaAccess.of(settings)
    producer = AIOKafkaProducer(
        **access.options("restore"),
        enable_idempotence=True,
        compression_type=COMPRESSION,
        max_request_size=MAX_MESSAGE_BYTES,
    )
    await producer.start()
    partitioner, partitions = DefaultPartitioner(), list(range(settings.partitions))
    try:
        waiting: list[Any] = []
        for done, (topic, key, value) in enumerate(_read(path), 1):
            # Where the events of its symbol go: a key may have a part behind the symbol.
            place = partitioner(key.split(b"/")[0], partitions, partitions)
            waiting.append(await producer.send(topic, value, key, partition=place))
            counts[topic] += 1
            if len(waiting) >= ROWS_AT_A_TIME:
                await _acknowledged(waiting)
                if progress is not None:
                    progress(done, 0)
        await _acknowledged(waiting)
    finally:
        await producer.stop()
    return counts


async def repartition(settings: Settings, partitions: int, path: Path) -> dict[str, int]:
    """Give every topic another number of partitions and keep the tables; how many rows of each topic.

    The rows go into the file first. Raises `TapereaderError` where workers still run or have not
    processed everything; where something fails later, the file has the rows and `restore` goes on.
    """
    await _check_idle(settings)
    kept = await backup(settings, path)
    await delete(settings)
    restored = await restore(settings.model_copy(update={"partitions": partitions}), path)
    if restored != kept:
        raise TapereaderError(f"expected to restore {kept}, was {restored}; the rows are in {path}")
    return restored


async def delete(settings: Settings) -> int:
    """Delete all of our topics, with everything in them; how many there were.

    Raises `TapereaderError` where workers run, `StartupError` where the broker does not delete them in time.
    """
    await _check_stopped(settings)
    ours = {spec.name for spec in topics.ALL_TOPICS}
    async with admin_client(KafkaAccess.of(settings)) as admin:
        found = ours & set(await admin.list_topics())
        if found:
            await admin.delete_topics(sorted(found))
        deadline_s = clock.monotonic_s() + DELETED_WITHIN_S
        while left := ours & set(await admin.list_topics()):
            if clock.monotonic_s() > deadline_s:
                raise StartupError(
                    f"topic {min(left)} was not deleted within {DELETED_WITHIN_S:.0f} s; see the broker's log, then "
                    "`tapereader topics delete --yes` and `tapereader topics restore FILE`"
                )
            await asyncio.sleep(0.2)
    return len(found)


async def _acknowledged(waiting: list[Any]) -> None:
    for future in waiting:
        await future
    waiting.clear()


async def _check_stopped(settings: Settings) -> None:
    """Raise `TapereaderError` where a worker runs."""
    async with admin_client(KafkaAccess.of(settings)) as admin:
        for answer in await admin.describe_consumer_groups([settings.app_id]):
            for group in answer.groups:
                if group[-2]:
                    raise TapereaderError(
                        f"{len(group[-2])} workers of group {settings.app_id} still run; stop them first"
                    )


async def _check_idle(settings: Settings) -> None:
    """Raise `TapereaderError` where a worker runs, or an event waits to be processed."""
    await _check_stopped(settings)
    async with admin_client(KafkaAccess.of(settings)) as admin:
        committed = await admin.list_consumer_group_offsets(settings.app_id)
    raw = [spec.name for spec in topics.RAW_TOPICS if spec is not topics.UNKNOWN]
    async with _consumer(settings, raw) as (consumer, parts):
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
    waiting = 0
    for part, end in ends.items():
        reached = committed[part].offset if part in committed else 0
        waiting += max(end - max(reached, begins[part]), 0)
    if waiting:
        raise TapereaderError(
            f"{waiting} events are not processed yet; stop the producer, let the workers finish "
            "(`tapereader status`), then stop them"
        )


async def _sizes(settings: Settings) -> dict[str, int]:
    async with _consumer(settings, [spec.name for spec in KEPT]) as (consumer, parts):
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
    sizes = {spec.name: 0 for spec in KEPT}
    for part in parts:
        sizes[part.topic] += ends[part] - begins[part]
    return sizes


@asynccontextmanager
async def _consumer(
    settings: Settings, names: Iterable[str]
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """A consumer that is assigned all partitions of some topics, at their beginning."""
    access = KafkaAccess.of(settings)
    parts = await _partitions(access, list(names))
    consumer = AIOKafkaConsumer(
        **access.options("backup"), enable_auto_commit=False, auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
    )  # fmt: skip
    await consumer.start()
    try:
        consumer.assign(parts)
        yield consumer, parts
    finally:
        await consumer.stop()


async def _partitions(access: KafkaAccess, names: list[str]) -> list[TopicPartition]:
    """All partitions of some topics. Those of a topic that was just made are not named at once."""
    deadline_s = clock.monotonic_s() + KNOWN_WITHIN_S
    async with admin_client(access) as admin:
        while True:
            described = await admin.describe_topics(names)
            missing = [topic["topic"] for topic in described if not topic["partitions"]]
            if not missing:
                return [
                    TopicPartition(topic["topic"], part["partition"])
                    for topic in described
                    for part in topic["partitions"]
                ]
            if clock.monotonic_s() > deadline_s:
                raise StartupError(f"topic {missing[0]} is not there; `tapereader topics create` makes it")
            await asyncio.sleep(0.2)


async def _rows(settings: Settings, progress: Progress | None) -> AsyncIterator[Row]:
    """The rows of every kept table as a worker would recover them."""
    async with _consumer(settings, [spec.name for spec in KEPT]) as (consumer, parts):
        ends = await consumer.end_offsets(parts)
        total = sum(ends.values())
        for part in parts:
            recovery: PartitionRecovery[Any] = PartitionRecovery(part.partition)
            consumer.assign([part])
            await consumer.seek_to_beginning(part)
            while await consumer.position(part) < ends[part]:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    recovery.apply(RecordBatch(part.topic, part.partition, records, records[-1].offset + 1))
            if progress is not None:
                progress(sum(ends[done] for done in parts[: parts.index(part) + 1]), total)
            for key, value in recovery.values.items():
                if key is not None and value is not None:
                    yield part.topic, key, value


def _line(topic: str, key: bytes, value: bytes) -> Line:
    try:
        return Line(topic, key.decode(), value=value.decode())
    except UnicodeDecodeError:
        return Line(topic, key.decode(), value_base64=base64.b64encode(value).decode())


def _read(path: Path) -> Iterator[Row]:
    kept = {spec.name for spec in KEPT}
    with zstandard.open(path, "rb") as file:
        for number, text in enumerate(io.BufferedReader(file), 1):
            try:
                line = _decode(text)
            except msgspec.DecodeError as error:
                raise TapereaderError(f"{path}, line {number}: not a line of a backup: {error}") from error
            if line.topic not in kept:
                raise TapereaderError(f"{path}, line {number}: {line.topic} is no table that is kept here")
            value = base64.b64decode(line.value_base64 or b"") if line.value is None else line.value.encode()
            yield line.topic, line.key.encode(), value
