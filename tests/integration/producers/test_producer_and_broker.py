"""A broker that halts or dies does not make the producer lose, repeat or reorder an event."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from app.errors import StartupError
from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.local.kafka import LocalKafka
from producers.publisher import Publisher
from producers.record import record
from producers.routing import Routed
from tests.conftest import free_port
from tests.consistency.harness import read_all
from tests.eventually import eventually
from tests.integration.producers.live_rig import PARTITIONS, in_order_and_once, live_rig, sent_events


@pytest.mark.verify
async def test_a_halted_broker_costs_quotes_only_and_each_is_counted(own_kafka: LocalKafka) -> None:
    """The buffer fills, the oldest quotes go, the socket waits; then everything else is there, once."""
    url = own_kafka.bootstrap_servers
    async with live_rig(url, producer_buffer_events=1000) as rig:
        await rig.flowing()
        assert own_kafka.process.pid is not None
        os.kill(own_kafka.process.pid, signal.SIGSTOP)
        try:
            await eventually(lambda: rig.producer.pauses > 0 and rig.producer.buffer.dropped["Q"] > 0, timeout_s=30)
        finally:
            os.kill(own_kafka.process.pid, signal.SIGCONT)
        await rig.flowing()
        producer, sent = rig.producer, rig.simulator.feed.sent
        await rig.settled(
            lambda: producer.received == +sent and sent_events(producer.publisher) == sent - producer.buffer.dropped
        )

        assert set(producer.buffer.dropped) == {"Q"}
        written = await rig.written()
        assert written.total() == (sent - producer.buffer.dropped).total()
        assert written["massive.trades"] == rig.simulator.feed.sent["T"]
        assert written["massive.aggregates"] == rig.simulator.feed.sent["A"]
        assert rig.producer.connections == 1


@pytest.mark.verify
@pytest.mark.timeout(150)
async def test_a_killed_broker_that_comes_back_has_each_event_once_in_order(own_kafka: LocalKafka) -> None:
    """Batches in flight are repeated by their sequence numbers."""
    async with live_rig(own_kafka.bootstrap_servers, silence_timeout_s=60) as rig:
        for _ in range(2):
            await rig.flowing()
            assert own_kafka.process.pid is not None
            os.kill(own_kafka.process.pid, signal.SIGKILL)
            await eventually(lambda: not own_kafka.process.alive)
            await rig.flowing()
            await asyncio.to_thread(own_kafka.start)
            await asyncio.to_thread(own_kafka.wait_ready)
        await rig.flowing()
        await rig.settled(
            lambda: sent_events(rig.producer.publisher) == rig.producer.received == +rig.simulator.feed.sent, 60
        )

        records = await rig.records()
        assert len(records) == rig.simulator.feed.sent.total()
        assert in_order_and_once(records)


async def test_many_batches_of_one_partition_keep_their_order(broker_url: str, unique: str) -> None:
    """A round of more bytes than a batch takes is several waves."""
    await ensure_topics(broker_url, topics.ALL_TOPICS, PARTITIONS)
    events = [(event(unique, f"{n:04}" + "x" * 2000), n) for n in range(1500)]
    async with Publisher(broker_url) as publisher:
        await publisher.publish(events)
        assert publisher.sent == {"XYZ": 1500}
    found = [record.value for record in await read_all(broker_url, "massive.unknown") if record.key == unique.encode()]
    assert found == [sent.value for sent, _ in events]


async def test_an_event_larger_than_a_batch_is_a_batch_of_its_own(broker_url: str, unique: str) -> None:
    """And does not stop what is around it."""
    await ensure_topics(broker_url, topics.ALL_TOPICS, PARTITIONS)
    events = [event(unique, "x" * size) for size in (10, 3_000_000, 20)]
    async with Publisher(broker_url) as publisher:
        await publisher.publish([(sent, 1) for sent in events])
    found = [record.value for record in await read_all(broker_url, "massive.unknown") if record.key == unique.encode()]
    assert found == [sent.value for sent in events]


def event(symbol: str, text: str) -> Routed:
    """An event of a type without a route."""
    value = json.dumps({"ev": "XYZ", "sym": symbol, "x": text}).encode()
    return Routed("massive.unknown", symbol.encode(), value, "XYZ")


async def test_a_kafka_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By one sentence, for the producer and for a recording."""
    nowhere = f"127.0.0.1:{free_port()}"
    with pytest.raises(StartupError, match=f"Kafka at {nowhere} does not answer"):
        async with Publisher(nowhere):
            pass
    with pytest.raises(StartupError, match=f"Kafka at {nowhere} does not answer"):
        await record(nowhere, tmp_path / "f.zst")
