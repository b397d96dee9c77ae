"""What goes on: events in and out, lag, symbols, seen from the topics and the consumer group."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    NotCoordinatorForGroupError,
)

from app import clock
from app.kafka import topics
from app.kafka.access import KafkaAccess
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

    def as_dict(self) -> dict[str, Any]:
        """For `tapereader status --json`."""
        return {
            "events_in_per_s": round(self.events_in_per_s, 1),
            "rows_out_per_s": round(self.rows_out_per_s, 1),
            "lag": self.lag,
            "symbols": self.symbols,
            "ends": self.ends,
            "error": self.error,
        }


class Observer:
    """Looks at the cluster; keeps one consumer and one admin client open, which read no record."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._http = httpx.AsyncClient(timeout=0.5, trust_env=False)
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
        if found.error is None:
            if last is not None:
                elapsed_s = max(found.at_s - last.at_s, 0.001)
                found.rates = {name: (end - last.ends.get(name, end)) / elapsed_s for name, end in found.ends.items()}
            self._last = found
        return found

    async def _offsets(self, found: Observation) -> None:
        consumer, admin = await self._clients()
        described = await admin.describe_topics([*_IN, *_OUT])
        parts = [
            TopicPartition(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]
        ]
        # An assignment makes the consumer keep these topics' leaders current; nothing is fetched while paused.
        if set(parts) != consumer.assignment():
            consumer.assign(parts)
            consumer.pause(*parts)
        ends = await consumer.end_offsets(parts)
        for part, end in ends.items():
            found.ends[part.topic] = found.ends.get(part.topic, 0) + end
        found.lag = await self._lag(ends)

    async def _lag(self, ends: Mapping[TopicPartition, int]) -> int | None:
        """How many raw events the workers have not committed yet; None before they committed anything."""
        consumer, admin = await self._clients()
        try:
            committed = await admin.list_consumer_group_offsets(self._settings.app_id)
        except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
            return None
        reached = {part: meta.offset for part, meta in committed.items() if meta.offset >= 0 and part.topic in _IN}
        followed = {part.topic for part in reached}
        if not followed:
            return None
        begins = await consumer.beginning_offsets([part for part in ends if part.topic in followed])
        lag = 0
        for part, begin in begins.items():
            lag += max(ends[part] - max(reached.get(part, 0), begin), 0)
        return lag

    async def _clients(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        options = KafkaAccess.of(self._settings).options("status")
        if self._consumer is None:
            consumer = AIOKafkaConsumer(**options, group_id=None)
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        if self._admin is None:
            admin = AIOKafkaAdminClient(**options, request_timeout_ms=5000)
            try:
                await admin.start()
            except BaseException:
                await admin.close()
                raise
            self._admin = admin
        return self._consumer, self._admin

    async def _gateway(self, found: Observation) -> None:
        try:
            answer = await self._http.get(f"http://127.0.0.1:{self._settings.http_port}/healthz")
            symbols = answer.json().get("symbols")
        except (httpx.HTTPError, ValueError, AttributeError):
            return
        found.symbols = symbols if isinstance(symbols, int) else None

    async def close(self) -> None:
        """Close the clients."""
        await self._http.aclose()
        if self._consumer is not None:
            await self._consumer.stop()
        if self._admin is not None:
            await self._admin.close()
        self._consumer = self._admin = None
