"""What goes on: events in and out, lag, symbols, seen from the topics and the consumer group."""

from dataclasses import dataclass, field

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from app import clock, topics
from app.settings import Settings

_IN = tuple(spec.name for spec in topics.RAW_TOPICS)
_OUT = tuple(spec.name for spec in topics.PUBLIC_TABLES)


@dataclass
class Observation:
    """One look: end offsets by topic, rates since the look before, lag of the workers."""

    at_s: float
    ends: dict[str, int] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)
    lag: int | None = None
    symbols: int | None = None
    error: str | None = None

    @property
    def events_in_per_s(self) -> float:
        """Raw events appended per second."""
        return sum(self.rates.get(name, 0.0) for name in _IN)

    @property
    def rows_out_per_s(self) -> float:
        """Rows of public tables appended per second."""
        return sum(self.rates.get(name, 0.0) for name in _OUT)


class Observer:
    """Looks at the cluster; keeps one consumer open that reads nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._last: Observation | None = None

    async def look(self) -> Observation:
        """One observation; `error` says why there is none."""
        found = Observation(clock.monotonic_s())
        try:
            await self._offsets(found)
        except (KafkaError, OSError) as error:
            found.error = f"Kafka does not answer: {type(error).__name__}"
        await self._gateway(found)
        last = self._last
        if last is not None and not found.error:
            elapsed_s = max(found.at_s - last.at_s, 0.001)
            found.rates = {name: (end - last.ends.get(name, end)) / elapsed_s for name, end in found.ends.items()}
        self._last = found
        return found

    async def _offsets(self, found: Observation) -> None:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._settings.bootstrap_servers,
                group_id=self._settings.app_id,
                enable_auto_commit=False,
            )
            await consumer.start()
            self._consumer = consumer
        consumer = self._consumer
        await consumer._client.set_topics([*_IN, *_OUT])
        parts = [
            TopicPartition(name, part) for name in (*_IN, *_OUT) for part in consumer.partitions_for_topic(name) or ()
        ]
        ends = await consumer.end_offsets(parts)
        for part, end in ends.items():
            found.ends[part.topic] = found.ends.get(part.topic, 0) + end
        worked = [part for part in parts if part.topic in (topics.AGGREGATES.name, topics.REFERENCE.name)]
        begins = await consumer.beginning_offsets(worked)
        lag = 0
        for part in worked:
            committed = await consumer.committed(part)
            lag += max(ends[part] - max(committed or 0, begins[part]), 0)
        found.lag = lag

    async def _gateway(self, found: Observation) -> None:
        try:
            async with httpx.AsyncClient(timeout=0.5) as client:
                answer = await client.get(f"http://127.0.0.1:{self._settings.http_port}/healthz")
                symbols = answer.json().get("symbols")
                found.symbols = symbols if isinstance(symbols, int) else None
        except (httpx.HTTPError, ValueError):
            found.symbols = None

    async def close(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None
