"""`tapereader record FILE`: the raw topics into a compressed file that `replay` plays."""

from collections.abc import Callable, Iterable
from pathlib import Path

import zstandard
from aiokafka import AIOKafkaConsumer, TopicPartition

from app.topics import RAW_TOPICS, RECEIVED_NS_HEADER, TopicSpec

Progress = Callable[[int, int], None]


async def record(
    bootstrap_servers: str,
    path: Path,
    *,
    topics: Iterable[TopicSpec] = RAW_TOPICS,
    progress: Progress | None = None,
) -> int:
    """Write everything that the raw topics hold now; how many events that was.

    Each value stands in the file byte for byte. Raises `OSError` when the file cannot be written.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        names = [spec.name for spec in topics]
        await consumer._client.set_topics(names)
        parts = [
            TopicPartition(name, partition)
            for name in names
            for partition in sorted(consumer.partitions_for_topic(name) or ())
        ]
        consumer.assign(parts)
        begins, ends = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        await consumer.seek_to_beginning(*parts)
        return await _write(consumer, path, begins, ends, progress)
    finally:
        await consumer.stop()


async def _write(
    consumer: AIOKafkaConsumer,
    path: Path,
    begins: dict[TopicPartition, int],
    ends: dict[TopicPartition, int],
    progress: Progress | None,
) -> int:
    total, written = sum(ends[part] - begins[part] for part in ends), 0
    open_parts = {part for part in ends if ends[part] > begins[part]}
    with zstandard.open(path, "wb") as file:
        while open_parts:
            for part, records in (await consumer.getmany(timeout_ms=500)).items():
                for found in records:
                    if found.offset < ends[part] and found.value is not None:
                        file.write(_line(found.topic, found.value, dict(found.headers)))
                        written += 1
            if progress is not None:
                progress(written, total)
            open_parts = {part for part in open_parts if await consumer.position(part) < ends[part]}
    return written


def _line(topic: str, value: bytes, headers: dict[str, bytes]) -> bytes:
    received = headers.get(RECEIVED_NS_HEADER, b"null")
    # The value is JSON already: decoding and encoding it again would not give the same bytes.
    return b'{"topic":"%s","received_ns":%s,"value":%s}\n' % (topic.encode(), received, value)
