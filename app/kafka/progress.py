"""How far the workers are, as the brokers know it: ends of topics, commits of the group, and what does not move."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)

from app import clock
from app.kafka.access import KafkaAccess
from app.kafka.clients import new_admin, new_consumer
from app.kafka.consuming import close_consumer
from app.kafka.topics import RAW_TOPICS, UNKNOWN
from app.stream.watchdog import STANDS_AFTER_S, Judge

#: A look that takes longer has failed (s): a broker that stands still answers nothing for ever.
LOOK_TIMEOUT_S = 5.0

#: What the workers read, whether they have committed it yet or not.
_READ = frozenset(spec.name for spec in RAW_TOPICS if spec is not UNKNOWN)


@dataclass(frozen=True)
class GroupLook:
    """One look: the end of each partition, records still to be read of each, and what stands still."""

    ends: dict[TopicPartition, int] = field(default_factory=dict)
    lags: dict[TopicPartition, int] = field(default_factory=dict)
    #: Whether the group has committed anything of the raw topics.
    reads: bool = False
    #: Partitions in which records wait and the group's commit does not move, in a sentence each.
    standing: list[str] = field(default_factory=list)

    def by_topic(self) -> dict[str, int]:
        """Records still to be read, by topic."""
        found: dict[str, int] = {}
        for part, lag in sorted(self.lags.items()):
            found[part.topic] = found.get(part.topic, 0) + lag
        return found


class GroupProgress:
    """Looks at a consumer group again and again; keeps one consumer and one admin client open, which read no record."""

    def __init__(self, access: KafkaAccess, group: str, role: str) -> None:
        self._access, self._group, self._role = access, group, role
        self._consumer: AIOKafkaConsumer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._judge = Judge(STANDS_AFTER_S)

    async def look(self, also: Iterable[str] = ()) -> GroupLook:
        """One look, at the ends of further topics, too. Raises `KafkaError`, `OSError`, `TimeoutError`."""
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                return await self._look(also)
        except BaseException:
            # What stood still meanwhile is not known.
            self._judge = Judge(STANDS_AFTER_S)
            raise

    async def _look(self, also: Iterable[str]) -> GroupLook:
        consumer, admin = await self._clients()
        committed = await _committed(admin, self._group)
        topics = sorted({*also, *_READ, *(part.topic for part in committed)})
        parts = [
            TopicPartition(topic["topic"], each["partition"])
            for topic in await admin.describe_topics(topics)
            for each in topic["partitions"]
        ]
        # An assignment makes the consumer keep these topics' leaders current; nothing is fetched while paused.
        if set(parts) != consumer.assignment():
            consumer.assign(parts)
            consumer.pause(*parts)
        ends = await consumer.end_offsets(parts)
        followed = [part for part in parts if part in committed or part.topic in _READ]
        begins = await consumer.beginning_offsets(followed)
        reached = {part: max(committed.get(part, 0), begins[part]) for part in followed}
        lags = {part: max(ends[part] - reached[part], 0) for part in followed}
        found = {f"{part.topic}[{part.partition}]": (reached[part], lags[part]) for part in followed}
        self._judge.stalled(clock.monotonic_s(), found)
        reads = any(part.topic in _READ for part in committed)
        return GroupLook(dict(ends), lags, reads, self._judge.standing(found))

    async def _clients(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        if self._consumer is None:
            consumer = new_consumer(self._access, self._role)
            try:
                await consumer.start()
            except BaseException:
                await close_consumer(consumer)
                raise
            self._consumer = consumer
        if self._admin is None:
            admin = new_admin(self._access, self._role, request_timeout_ms=5000)
            try:
                await admin.start()
            except BaseException:
                await admin.close()
                raise
            self._admin = admin
        return self._consumer, self._admin

    async def close(self) -> None:
        """Close the clients."""
        consumer, admin = self._consumer, self._admin
        self._consumer = self._admin = None
        if consumer is not None:
            await close_consumer(consumer)
        if admin is not None:
            await admin.close()


async def _committed(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, int]:
    """A group's commits; a broker that has never had a group has no coordinator yet, and no commits."""
    try:
        found = await admin.list_consumer_group_offsets(group)
    except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
        return {}
    return {part: meta.offset for part, meta in found.items() if meta.offset >= 0}
