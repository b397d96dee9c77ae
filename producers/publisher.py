"""Events -> Kafka in record batches: one record per event, in order, none lost, none doubled.

`AIOKafkaProducer.send` per record costs 25 µs; events that go out together are put into one record
batch per partition instead. One round is acknowledged before the next is sent.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from opentelemetry import propagate

from app.topics import MAX_MESSAGE_BYTES, RECEIVED_NS_HEADER
from producers.routing import Routed

log = structlog.get_logger(__name__)

#: Bytes of a record batch before the next one is begun; larger ones delay what comes behind.
BATCH_BYTES = 1024 * 1024

#: How long the broker may be away before a round is given up and sent again.
DELIVERY_TIMEOUT_MS = 120_000


class Publisher:
    """Sends rounds of events; an async context manager that owns its Kafka producer."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True, compression_type="lz4",
            max_batch_size=BATCH_BYTES, max_request_size=MAX_MESSAGE_BYTES, request_timeout_ms=DELIVERY_TIMEOUT_MS,
        )  # fmt: skip
        self._partitioner = DefaultPartitioner()
        self._partitions: dict[str, list[int]] = {}
        self._places: dict[tuple[str, bytes | None], int] = {}
        self.sent: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def publish(self, events: Iterable[tuple[Routed, int]]) -> int:
        """Send one round of events with their receive times (ns); how many Kafka has acknowledged.

        Raises `KafkaError` when the broker did not answer in time; nothing of what was not
        acknowledged is counted.
        """
        trace = self._trace_headers()
        batches: list[tuple[str, int, Any]] = []
        open_batches: dict[tuple[str, int], Any] = {}
        counts: Counter[str] = Counter()
        for event, received_ns in events:
            place = event.topic, self._places.get((event.topic, event.key)) or await self._place(event)
            headers = [(RECEIVED_NS_HEADER, b"%d" % received_ns), *trace]
            builder = open_batches.get(place)
            if (
                builder is None
                or builder.append(timestamp=None, key=event.key, value=event.value, headers=headers) is None
            ):
                builder = open_batches[place] = self._producer.create_batch()
                batches.append((*place, builder))
                if builder.append(timestamp=None, key=event.key, value=event.value, headers=headers) is None:
                    raise KafkaError(f"an event of {len(event.value)} bytes does not fit a record batch")
            counts[event.event_type] += 1
        await self._send(batches)
        self.sent.update(counts)
        return sum(counts.values())

    async def _send(self, batches: list[tuple[str, int, Any]]) -> None:
        waiting = []
        for topic, partition, builder in batches:
            builder.close()
            waiting.append(await self._producer.send_batch(builder, topic, partition=partition))
        if waiting:
            await asyncio.gather(*waiting)

    async def _place(self, event: Routed) -> int:
        if event.topic not in self._partitions:
            self._partitions[event.topic] = sorted(await self._producer.partitions_for(event.topic))
        partitions = self._partitions[event.topic]
        place: int = self._partitioner(event.key, partitions, partitions)
        if event.key is not None:
            self._places[event.topic, event.key] = place
        return place

    @staticmethod
    def _trace_headers() -> list[tuple[str, bytes]]:
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return [(name, value.encode()) for name, value in carrier.items()]
