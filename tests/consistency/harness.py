"""A source topic, workers that are killed, and what their table must be in the end."""

import asyncio
import json
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.kafka.topics import TopicSpec
from app.stream.producing import repeat_until_answered
from tests.consistency.counting_app import Count, add
from tests.kafka_cluster import AWAY_S, KafkaCluster, settled
from tests.worker_processes import WorkerProcesses

PARTITIONS = 4
KEYS = 300


class Tape:
    """Records produced to the source, and the table that one undisturbed worker would have."""

    def __init__(self, bootstrap: str, name: str, seed: int) -> None:
        self.bootstrap, self.name = bootstrap, name
        self.random = random.Random(seed)
        self.expected: dict[str, Count] = {}
        self.produced = 0

    async def create_topics(self, segment_bytes: int = 1024 * 1024, replicas: int = 1) -> None:
        """Create source, table and dead-letter topics; small segments, so that compaction happens."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        compact = {"cleanup.policy": "compact", "segment.bytes": str(segment_bytes), "max.message.bytes": "16777216"}
        await admin.create_topics(
            [
                NewTopic(f"{self.name}.source", PARTITIONS, replicas),
                NewTopic(f"{self.name}.counts", PARTITIONS, replicas, topic_configs=compact),
                NewTopic(f"{self.name}.dead", PARTITIONS, replicas),
            ]
        )
        await admin.close()

    async def produce(self, count: int, *, every_s: float = 0.0, chunk: int = 500) -> None:
        """Append `count` records, in chunks, noting what the table becomes by them."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, enable_idempotence=True, acks="all")
        repeat_until_answered(producer)  # What it gives up may stand there nevertheless.
        await producer.start()
        try:
            for start in range(0, count, chunk):
                for _ in range(start, min(count, start + chunk)):
                    number = self.random.randrange(KEYS)
                    key, value = f"K{number:03d}", self.random.randrange(1000)
                    await producer.send(
                        f"{self.name}.source",
                        key=key.encode(),
                        value=str(value).encode(),
                        partition=number % PARTITIONS,
                    )
                    self.expected[key] = add(self.expected.get(key), value)
                    self.produced += 1
                await producer.flush()
                await asyncio.sleep(every_s)
        finally:
            await producer.stop()

    async def stall(self) -> None:
        """Append the record at which the agent that reads it waits for ever."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait(f"{self.name}.source", key=b"K000", value=b"stall", partition=0)
        finally:
            await producer.stop()

    async def table(self) -> dict[str, Count]:
        """The table as anyone who reads its topic from the start finds it."""
        rows: dict[str, Count] = {}
        for record in await read_all(self.bootstrap, f"{self.name}.counts"):
            key = (record.key or b"").decode()
            if record.value is None:
                rows.pop(key, None)
            else:
                rows[key] = msgspec.json.decode(record.value, type=Count)
        return rows

    async def counted(self) -> int:
        """How many source records the table has counted."""
        return sum(row.count for row in (await self.table()).values())


async def read_all(bootstrap: str, topic: str) -> list[Any]:
    """All records of a topic up to its end now, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        parts = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic) or ())]
        if not parts:
            await consumer._client.force_metadata_update()
            parts = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await consumer.end_offsets(parts)
        records: list[Any] = []
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for found in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(found)
        return records
    finally:
        await consumer.stop()


async def table(bootstrap: str, spec: TopicSpec) -> dict[str, Any]:
    """A table as anyone who reads its topic from the start finds it: key to parsed row."""
    return {key: json.loads(value) for key, value in (await raw_table(bootstrap, spec)).items()}


async def raw_table(bootstrap: str, spec: TopicSpec) -> dict[str, bytes]:
    """As `table`, with rows as the bytes that they are."""
    rows: dict[str, bytes] = {}
    for record in await read_all(bootstrap, spec.name):
        key = (record.key or b"").decode()
        if record.value is None:
            rows.pop(key, None)
        else:
            rows[key] = record.value
    return rows


#: Hurts brokers and returns when they are back; its name says what it did.
BrokerFault = Callable[[], Awaitable[None]]


def faults_of(cluster: KafkaCluster, group: str) -> dict[int, BrokerFault]:
    """What three brokers suffer in ten rounds of `disturb`; the next comes when all replicas are in sync again."""

    async def leader_killed() -> None:
        await cluster.kill_for(await cluster.leader_of_most(), AWAY_S)
        await settled(cluster)

    async def leader_paused() -> None:
        await cluster.pause_for(await cluster.leader_of_most(), AWAY_S)
        await settled(cluster)

    async def coordinator_killed() -> None:
        await cluster.kill_for(await cluster.coordinator(group), AWAY_S)
        await settled(cluster)

    async def restarted_in_turn() -> None:
        await cluster.restart_in_turn()

    return {1: leader_killed, 3: leader_paused, 5: coordinator_killed, 8: restarted_in_turn}


class Workers(WorkerProcesses):
    """Processes of the counting app."""

    def __init__(
        self, bootstrap: str, name: str, logs: Path, session_timeout_ms: int = 3000, standbys: int = 0
    ) -> None:
        module = ["-m", "tests.consistency.counting_app"]
        super().__init__(logs, [*module, bootstrap, name, str(PARTITIONS), str(session_timeout_ms), str(standbys)])


async def disturb(
    workers: WorkerProcesses,
    chance: random.Random,
    rounds: int,
    *,
    most: int = 3,
    broker_faults: Mapping[int, BrokerFault] = MappingProxyType({}),
) -> list[str]:
    """Rounds of kill -9, SIGTERM, pauses beyond the session's time-out and joins at random moments; what was done.

    `broker_faults` says what the brokers suffer instead, by the place of the round within ten, from 0.
    """
    done = []
    for number in range(rounds):
        await asyncio.sleep(chance.uniform(0.5, 4.0))
        died = workers.reap()
        for _ in range(died):
            workers.start()
        fault = broker_faults.get(number % 10)
        if fault is not None:
            await fault()
            done.append(fault.__name__)
            continue
        action = chance.choice(["kill", "term", "join", "kill", "replace", "pause"])
        done.append(action if not died else f"{action} after {died} died")
        if action == "join" and len(workers.running) < most:
            workers.start()
        elif workers.running:
            index = chance.randrange(len(workers.running))
            if action == "pause":
                await asyncio.to_thread(workers.pause, index, chance.uniform(2.0, 6.0))
                continue
            how = signal.SIGTERM if action == "term" else signal.SIGKILL
            await asyncio.to_thread(workers.end, index, how)
            if action == "replace" or not workers.running:
                workers.start()
    return done
