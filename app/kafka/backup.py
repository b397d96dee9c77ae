"""The tables in a file, and from a file: backup, restore, and more partitions.

A file is JSON lines, compressed (zstd): `{"topic", "key", "value"}` with the row's own JSON as a string,
or base64 under `value_base64`; topics stand in it without the platform's prefix. It holds rows, not offsets: what is
restored stands in topics whose sources begin afresh, so that a file fits any number of partitions. Rows that are made
anew from other tables within seconds (boards, window statistics) are left out.
"""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from app import clock
from app.errors import StartupError, TapereaderError
from app.kafka import topics
from app.kafka.access import COMPRESSION, KafkaAccess
from app.kafka.admin import admin_client, committed_offsets, described, running_workers
from app.kafka.clients import new_producer
from app.kafka.consuming import consuming
from app.kafka.declared import ensure_declared
from app.kafka.owner import check_owner
from app.kafka.topics import MAX_MESSAGE_BYTES, TopicSpec
from app.settings import Settings
from app.stream.batches import RecordBatch
from app.stream.errors import EngineError
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

Progress = Callable[[int, int], None]
Row = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Installed:
    """Workers beside the platform's: their consumer group, the topics that it reads (at the broker), their tables."""

    group: str
    sources: tuple[str, ...] = ()
    tables: tuple[TopicSpec, ...] = ()


class Line(msgspec.Struct, omit_defaults=True):
    """A line of the file."""

    topic: str
    key: str
    value: str | None = None
    value_base64: str | None = None


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Line).decode


async def backup(
    settings: Settings, path: Path, installed: Installed, progress: Progress | None = None
) -> dict[str, int]:
    """Write the rows of every kept table into a file; how many of each topic. Analyzers' tables are kept, too.

    The file is there when it is whole, not before. Raises `OSError`, `TapereaderError` where a table holds what no
    worker can read, and `KafkaError` where Kafka fails.
    """
    kept = {spec.name: spec for spec in await tables_there(settings, installed)}
    counts = {spec.declared: 0 for spec in kept.values()}
    draft = path.with_name(f"{path.name}.part")
    with zstandard.open(draft, "wb") as file:
        async for topic, key, value in _rows(settings, list(kept), progress):
            declared = kept[topic].declared
            file.write(_encode(_line(declared, key, value)) + b"\n")
            counts[declared] += 1
    draft.replace(path)
    return counts


async def restore(
    settings: Settings, path: Path, installed: Installed, progress: Progress | None = None
) -> dict[str, int]:
    """Write a file's rows into their topics, which are made where they are missing; how many of each.

    Raises `TapereaderError` where a table is not empty or the file cannot be read.
    """
    await ensure_declared(settings, (*topics.ALL_TOPICS, *installed.tables))
    kept = {spec.declared: spec for spec in (*KEPT, *installed.tables)}
    filled = {name: records for name, records in (await _sizes(settings, kept.values())).items() if records}
    if filled:
        name, records = next(iter(filled.items()))
        raise TapereaderError(
            f"topic {name} holds {records} records: a backup is restored into empty tables only; stop the workers, "
            "delete the topics, or use another Kafka"
        )
    counts = dict.fromkeys(kept, 0)
    producer = new_producer(
        KafkaAccess.of(settings),
        "restore",
        enable_idempotence=True,
        compression_type=COMPRESSION,
        max_request_size=MAX_MESSAGE_BYTES,
    )
    await producer.start()
    partitioner, partitions = DefaultPartitioner(), list(range(settings.partitions))
    try:
        waiting: list[Any] = []
        for done, (declared, key, value) in enumerate(_read(path, kept), 1):
            # Where the events of its symbol go: a key may have parts behind the symbol.
            spec = kept[declared]
            place = partitioner(spec.symbol_of(key), partitions, partitions)
            waiting.append(await producer.send(spec.name, value, key, partition=place))
            counts[declared] += 1
            if len(waiting) >= ROWS_AT_A_TIME:
                await _acknowledged(waiting)
                if progress is not None:
                    progress(done, 0)
        await _acknowledged(waiting)
    finally:
        await producer.stop()
    return counts


async def repartition(settings: Settings, partitions: int, path: Path, installed: Installed) -> dict[str, int]:
    """Give every topic another number of partitions and keep the tables; how many rows of each topic.

    The rows go into the file first. Raises `TapereaderError` where workers still run or have not
    processed everything; where something fails later, the file has the rows and `restore` goes on.
    """
    await _check_idle(settings, installed)
    kept = await backup(settings, path, installed)
    await delete(settings, installed)
    restored = await restore(settings.model_copy(update={"partitions": partitions}), path, installed)
    if {name: count for name, count in restored.items() if count} != {name: n for name, n in kept.items() if n}:
        raise TapereaderError(f"expected to restore {kept}, was {restored}; the rows are in {path}")
    return restored


async def delete(settings: Settings, installed: Installed) -> int:
    """Delete all of our topics and those of our analyzers' tables, with everything in them; how many there were.

    Raises `TapereaderError` where workers run, `TopicsTaken` where the topics are another platform's, `StartupError`
    where the broker does not delete them in time.
    """
    await check_owner(settings)
    await check_stopped(settings, installed)
    ours = {spec.name for spec in (*topics.ALL_TOPICS, *installed.tables)}
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


async def tables_there(settings: Settings, installed: Installed) -> list[TopicSpec]:
    """The kept tables; of the analyzers', those that were made already."""
    async with admin_client(KafkaAccess.of(settings)) as admin:
        existing = set(await admin.list_topics())
    return [*KEPT, *(spec for spec in installed.tables if spec.name in existing)]


async def _acknowledged(waiting: list[Any]) -> None:
    for future in waiting:
        await future
    waiting.clear()


async def check_stopped(settings: Settings, installed: Installed) -> None:
    """Raise `TapereaderError` where a worker of the platform or of its analyzers runs."""
    for group in (settings.app_id, installed.group):
        if running := await running_workers(KafkaAccess.of(settings), group):
            raise TapereaderError(f"{running} workers of group {group} still run; stop them first")


async def _check_idle(settings: Settings, installed: Installed) -> None:
    """Raise `TapereaderError` where a worker runs, or an event waits to be processed."""
    await check_stopped(settings, installed)
    raw = tuple(spec.name for spec in topics.RAW_TOPICS if spec is not topics.UNKNOWN)
    for group, sources in ((settings.app_id, raw), (installed.group, installed.sources)):
        if waiting := await _waiting(settings, group, sources):
            raise TapereaderError(
                f"{waiting} events are not processed yet by the workers of group {group}; stop the producer, let the "
                "workers finish (`tapereader status`), then stop them"
            )


async def _waiting(settings: Settings, group: str, sources: Sequence[str]) -> int:
    """How many records of some topics a consumer group has not committed."""
    if not sources:
        return 0
    committed = await committed_offsets(KafkaAccess.of(settings), group)
    async with reading(settings, sources) as (consumer, parts):
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
    return sum(max(end - max(committed.get(part, 0), begins[part]), 0) for part, end in ends.items())


async def _sizes(settings: Settings, specs: Iterable[TopicSpec]) -> dict[str, int]:
    sizes = {spec.name: 0 for spec in specs}
    async with reading(settings, sizes) as (consumer, parts):
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
    for part in parts:
        sizes[part.topic] += ends[part] - begins[part]
    return sizes


@asynccontextmanager
async def reading(
    settings: Settings, names: Iterable[str]
) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """A consumer that is assigned all partitions of some topics, at their beginning."""
    access = KafkaAccess.of(settings)
    parts = await _partitions(access, list(names))
    options = {"auto_offset_reset": "earliest", "max_partition_fetch_bytes": MAX_MESSAGE_BYTES}
    async with consuming(access, "backup", **options) as consumer:
        consumer.assign(parts)
        yield consumer, parts


async def _partitions(access: KafkaAccess, names: list[str]) -> list[TopicPartition]:
    """All partitions of some topics. Raises `StartupError` where one is not there."""
    async with admin_client(access) as admin:
        found = await described(admin, names)
    return [TopicPartition(name, part["partition"]) for name, parts in found.items() for part in parts]


def take_in(recovery: PartitionRecovery[Any], batch: RecordBatch) -> None:
    """Take a batch of a table in. Raises `TapereaderError` where a worker could not recover from it either."""
    try:
        recovery.apply(batch)
    except EngineError as error:
        raise TapereaderError(f"the table cannot be backed up: {error}") from error


async def _rows(settings: Settings, names: list[str], progress: Progress | None) -> AsyncIterator[Row]:
    """The rows of every kept table as a worker would recover them."""
    async with reading(settings, names) as (consumer, parts):
        ends = await consumer.end_offsets(parts)
        total = sum(ends.values())
        for part in parts:
            recovery: PartitionRecovery[Any] = PartitionRecovery(part.partition)
            consumer.assign([part])
            await consumer.seek_to_beginning(part)
            while await consumer.position(part) < ends[part]:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    take_in(recovery, RecordBatch(part.topic, part.partition, records, records[-1].offset + 1))
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


def _read(path: Path, kept: Collection[str]) -> Iterator[Row]:
    with zstandard.open(path, "rb") as file:
        for number, text in enumerate(io.BufferedReader(file), 1):
            try:
                line = _decode(text)
            except msgspec.DecodeError as error:
                raise TapereaderError(f"{path}, line {number}: not a line of a backup: {error}") from error
            if line.topic not in kept:
                raise TapereaderError(
                    f"{path}, line {number}: {line.topic} is no table that is kept here; where it is an "
                    "analyzer's, name that by TAPEREADER_ANALYZERS"
                )
            value = base64.b64decode(line.value_base64 or b"") if line.value is None else line.value.encode()
            yield line.topic, line.key.encode(), value
