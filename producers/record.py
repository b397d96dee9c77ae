"""`tapereader record FILE`: the raw topics into a compressed file that `replay` plays."""

import base64
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import zstandard
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from app import clock
from app.errors import StalledError, StartupError
from app.kafka.access import Brokers, KafkaAccess
from app.kafka.clients import new_admin
from app.kafka.consuming import consuming
from app.kafka.topics import PREFIX, RAW_TOPICS, RECEIVED_NS_HEADER, TopicSpec
from app.market.bounds import received_ns

Progress = Callable[[int, int], None]

#: A broker that names records and gives none for this long has failed.
STALL_TIMEOUT_S: Final = 60.0
POLL_MS: Final = 500

_encode = msgspec.json.Encoder().encode


async def record(
    brokers: Brokers,
    path: Path,
    *,
    topics: Iterable[TopicSpec] = RAW_TOPICS,
    follow: bool = False,
    progress: Progress | None = None,
) -> int:
    """Write what the raw topics hold now into a file; how many events that was.

    With `follow` it goes on with what comes until it is cancelled; the file is whole then, too.
    Each value stands in the file byte for byte. Raises `OSError` when the file cannot be written,
    `StartupError` when Kafka does not answer, `StalledError` when it stops to.
    """
    parts = await _partitions(brokers, [spec.name for spec in topics])
    async with consuming(brokers, "record", auto_offset_reset="earliest") as consumer:
        consumer.assign(parts)
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        for part in parts:
            consumer.seek(part, begins[part])
        with zstandard.open(path, "wb") as file:
            written = await _write_to(ends, consumer, file, sum(ends.values()) - sum(begins.values()), progress)
            while follow:
                for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
                    file.write(b"".join(map(_line, records)))
                    written += len(records)
                if progress is not None:
                    progress(written, written)
        return written


async def _partitions(brokers: Brokers, names: list[str]) -> list[TopicPartition]:
    admin = new_admin(brokers, "record")
    try:
        await admin.start()
        found = {topic["topic"]: topic for topic in await admin.describe_topics(names)}
    except (KafkaError, OSError) as error:
        raise StartupError(f"Kafka at {KafkaAccess.of(brokers).bootstrap_servers} does not answer: {error}") from error
    finally:
        await admin.close()
    missing = [name for name in names if not found.get(name, {}).get("partitions")]
    if missing:
        raise StartupError(f"topic {missing[0]} is not there; `tapereader topics create` makes it")
    return sorted(
        TopicPartition(name, partition["partition"]) for name in names for partition in found[name]["partitions"]
    )


async def _write_to(
    ends: dict[TopicPartition, int], consumer: AIOKafkaConsumer, file: Any, total: int, progress: Progress | None
) -> int:
    """Write all records before the end offsets; leaves the consumer there."""
    written, moved_s = 0, clock.monotonic_s()
    open_parts = {part for part in ends if await consumer.position(part) < ends[part]}
    consumer.pause(*(ends.keys() - open_parts))
    while open_parts:
        for part, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
            wanted = [found for found in records if found.offset < ends[part]]
            file.write(b"".join(map(_line, wanted)))
            written += len(wanted)
            if await consumer.position(part) >= ends[part]:
                consumer.seek(part, ends[part])
                consumer.pause(part)
                open_parts.discard(part)
            moved_s = clock.monotonic_s()
        if progress is not None:
            progress(written, total)
        if clock.monotonic_s() - moved_s > STALL_TIMEOUT_S:
            raise StalledError(f"Kafka gave no record of {min(open_parts)} for {STALL_TIMEOUT_S:.0f} s")
    consumer.resume(*ends)
    return written


def _line(found: Any) -> bytes:
    received = received_ns(dict(found.headers).get(RECEIVED_NS_HEADER))
    head = b'{"topic":%s,"key":%s,"received_ns":%s,' % (
        _encode(found.topic.removeprefix(PREFIX)),
        _encode(None if found.key is None else found.key.decode("utf-8", "replace")), _encode(received),
    )  # fmt: skip
    value = found.value or b""
    if b"\n" in value or b"\r" in value or not value:
        return head + b'"value_base64":%s}\n' % _encode(base64.b64encode(value).decode())
    # The value is JSON already: decoding and encoding it again would not give the same bytes.
    return head + b'"value":%s}\n' % value
