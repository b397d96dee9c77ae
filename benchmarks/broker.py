"""A broker for the benchmarks: the one that KAFKA_BOOTSTRAP_SERVERS names, else one of our own."""

import asyncio
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.local.kafka import LocalKafka

SYMBOLS = 6000


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def broker() -> Iterator[str]:
    """Bootstrap servers of a broker that is up."""
    if given := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield given
        return
    with tempfile.TemporaryDirectory() as directory:
        kafka = LocalKafka(Path(directory), free_port(), free_port())
        kafka.start()
        try:
            kafka.wait_ready()
            yield kafka.bootstrap_servers
        finally:
            kafka.stop()


async def create_topics(bootstrap: str, names: list[str], partitions: int) -> None:
    """Topics that take large record batches."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    config = {"max.message.bytes": str(16 * 1024 * 1024)}
    await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config) for name in names])
    await admin.close()
    await asyncio.sleep(1.0)


def aggregate(source: random.Random, symbol: str, number: int) -> bytes:
    """An aggregate as Massive sends it."""
    cents = source.randrange(100, 40_000)
    return (
        b'{"ev":"A","sym":"%s","v":%d,"av":%d,"op":25.66,"vw":25.3981,"o":25.39,"c":%d.%02d,"h":25.39,"l":25.39,'
        b'"a":25.3714,"z":50,"s":%d,"e":%d}'
        % (symbol.encode(), source.randrange(1, 9999), number * 10, cents // 100, cents % 100,
           1610144868000 + number, 1610144869000 + number)
    )  # fmt: skip


async def fill(bootstrap: str, topic: str, records: int, partitions: int) -> None:
    """Append aggregates of 6,000 symbols, as a producer does: batches of some hundred."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type="lz4",
        max_batch_size=1024 * 1024,
        max_request_size=8 * 1024 * 1024,
    )
    await producer.start()
    source = random.Random(1)
    try:
        for start in range(0, records, 4000):
            batches = [producer.create_batch() for _ in range(partitions)]
            for number in range(start, min(records, start + 4000)):
                index = source.randrange(SYMBOLS)
                symbol = f"S{index:04d}"
                value = aggregate(source, symbol, number)
                batches[index % partitions].append(key=symbol.encode(), value=value, timestamp=None)
            sent = [await producer.send_batch(batch, topic, partition=at) for at, batch in enumerate(batches)]
            await asyncio.gather(*sent)
    finally:
        await producer.stop()
