"""Records that belong to no table, sent together: one record batch per partition."""

import asyncio
from collections.abc import Iterable
from typing import Any

from app.stream import internals
from app.stream.errors import OversizedError
from app.stream.surroundings import surroundings_of


async def send_records(
    app: Any, topic: str, partition: int, records: Iterable[tuple[bytes, bytes]], trace: bytes | None = None
) -> int:
    """Append records (key, value) to a partition, in order; how many Kafka has acknowledged.

    `trace` is the sampled context that led to them; it goes with the first record of each record batch.

    Faust's own `send` costs a task and several futures per record. Raises `OversizedError` for a
    record that fits no record batch, `KafkaError` when the broker does not take them.
    """
    producer = internals.kafka_producer(app)
    around = surroundings_of(app)
    marked = [] if trace is None else [(around.traces.header, trace)]
    builder, waiting, count = producer.create_batch(), [], 0
    for key, value in records:
        headers = marked if not builder.record_count() else []
        if builder.append(timestamp=None, key=key, value=value, headers=headers) is None:
            waiting.append(await producer.send_batch(builder, topic, partition=partition))
            builder = producer.create_batch()
            if builder.append(timestamp=None, key=key, value=value, headers=marked) is None:
                raise OversizedError(f"a record of {len(value):,} bytes does not fit a record batch of {topic}")
        count += 1
    if builder.record_count():
        waiting.append(await producer.send_batch(builder, topic, partition=partition))
    await asyncio.gather(*waiting)
    around.observer.sent(topic, count)
    return count
