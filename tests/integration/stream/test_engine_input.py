"""What Kafka may hold: every codec, records without key or value, record batches that are broken on disk."""

from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from app.local.kafka import LocalKafka
from app.stream.letters import DeadLetter
from tests.conftest import free_port
from tests.consistency.counting_app import add
from tests.consistency.harness import Tape, Workers, read_all
from tests.eventually import eventually

pytestmark = pytest.mark.timeout(120)


async def append(bootstrap: str, topic: str, codec: str | None, values: list[int]) -> None:
    """One compressed record batch on partition 0."""
    writer = AIOKafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, acks="all")
    await writer.start()
    try:
        batch = writer.create_batch()
        for value in values:
            batch.append(key=b"a", value=str(value).encode(), timestamp=None)
        await (await writer.send_batch(batch, topic, partition=0))
    finally:
        await writer.stop()


async def test_every_codec_that_producers_use_is_read(broker_url: str, unique: str, tmp_path: Path) -> None:
    tape = Tape(broker_url, f"codecs-{unique}", seed=1)
    await tape.create_topics()
    expected = None
    for start, codec in enumerate((None, "gzip", "snappy", "lz4", "zstd")):
        values = list(range(start * 100, start * 100 + 50))
        await append(broker_url, f"{tape.name}.source", codec, values)
        for value in values:
            expected = add(expected, value)
    workers = Workers(broker_url, tape.name, tmp_path)
    try:
        workers.start()

        async def counted() -> bool:
            return await tape.table() == {"a": expected}

        await eventually(counted, timeout_s=30)
    finally:
        workers.stop()
    assert await read_all(broker_url, f"{tape.name}.dead") == []


def damage(segment: Path, base_offset: int, place: int = -1) -> None:
    """Change a byte (the last one unless named) of the record batch that begins at an offset, as a bad disk would.

    A record batch begins with its base offset (8 bytes) and the length of what follows (4 bytes).
    """
    data = bytearray(segment.read_bytes())
    at = 0
    while int.from_bytes(data[at : at + 8], "big") != base_offset:
        at += 12 + int.from_bytes(data[at + 8 : at + 12], "big")
        assert at < len(data), f"no record batch begins at {base_offset}"
    size = 12 + int.from_bytes(data[at + 8 : at + 12], "big")
    data[at + place % size] ^= 0xFF
    segment.write_bytes(data)


@pytest.mark.verify
@pytest.mark.parametrize("codec", [None, "lz4"])
async def test_a_record_batch_that_is_broken_on_disk_is_named_and_passed(codec: str | None, tmp_path: Path) -> None:
    """The partition goes on behind it; the dead letters name the offsets that are lost."""
    broker = LocalKafka(tmp_path / "kafka", free_port(), free_port())
    broker.start()
    try:
        broker.wait_ready()
        tape = Tape(broker.bootstrap_servers, "broken", seed=1)
        await tape.create_topics()
        for values in ([1, 2, 3], [4, 5], [6]):
            await append(broker.bootstrap_servers, "broken.source", codec, values)
        broker.stop()
        damage(tmp_path / "kafka" / "data" / "broken.source-0" / f"{0:020d}.log", 3)
        broker.start()
        broker.wait_ready()
        workers = Workers(broker.bootstrap_servers, tape.name, tmp_path)
        try:
            workers.start()
            expected = None
            for value in (1, 2, 3, 6):
                expected = add(expected, value)

            async def counted() -> bool:
                return await tape.table() == {"a": expected}

            await eventually(counted, timeout_s=30)
        finally:
            workers.stop()
        letters = [
            msgspec.json.decode(found.value, type=DeadLetter)
            for found in await read_all(broker.bootstrap_servers, "broken.dead")
        ]
        assert [(each.topic, each.partition, each.offset, each.next_offset) for each in letters] == [
            ("broken.source", 0, 3, 5)
        ]
        assert letters[0].reason.startswith("CorruptRecordException")
    finally:
        broker.stop()
