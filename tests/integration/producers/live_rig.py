"""A live producer between a simulated feed and a real Kafka, and how to look at all three."""

import asyncio
import contextlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.settings import Plan, Settings, Source
from producers.control import serve_control
from producers.feed_reporter import FEED_STATE
from producers.live import LiveProducer
from producers.publisher import Publisher
from producers.simulator import Simulator
from producers.simulator.faults import FaultRequest
from tests.eventually import eventually

PARTITIONS = 4


def sent_events(publisher: Publisher) -> Counter[str]:
    """What was published of the feed's events: without the records of the feed's own state."""
    return Counter({name: count for name, count in publisher.sent.items() if name != FEED_STATE})


WRITTEN = (topics.AGGREGATES, topics.TRADES, topics.QUOTES, topics.HALTS, topics.UNKNOWN, topics.DEAD_LETTERS)
EVENT_TYPES = {"A": "massive.aggregates", "T": "massive.trades", "Q": "massive.quotes", "LULD": "massive.halts"}


class Rig:
    """What a test looks at; made by `live_rig`."""

    def __init__(self, simulator: Simulator, producer: LiveProducer, consumer: AIOKafkaConsumer, port: int) -> None:
        self.simulator, self.producer, self._consumer = simulator, producer, consumer
        self.control_url = f"http://127.0.0.1:{port}"
        self.parts = [TopicPartition(spec.name, number) for spec in WRITTEN for number in range(PARTITIONS)]
        self.begins: dict[TopicPartition, int] = {}
        self.running: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Count from here on: the broker is shared with other tests."""
        self.begins = await self._consumer.end_offsets(self.parts)

    async def written(self) -> Counter[str]:
        """Records in each topic since `begin`."""
        ends, found = await self._consumer.end_offsets(self.parts), Counter[str]()
        for part in self.parts:
            found[part.topic] += ends[part] - self.begins[part]
        return +found

    async def records(self, timeout_s: float = 20.0) -> list[Any]:
        """The records since `begin`, in order within a partition."""
        ends = await self._consumer.end_offsets(self.parts)
        found: list[Any] = []
        self._consumer.assign(self.parts)
        for part in self.parts:
            self._consumer.seek(part, self.begins[part])
        wanted = sum(ends[part] - self.begins[part] for part in self.parts)
        async with asyncio.timeout(timeout_s):
            while len(found) < wanted:
                for batch in (await self._consumer.getmany(timeout_ms=200)).values():
                    found += batch
        return found

    async def misbehave(self, **faults: Any) -> None:
        """Have the simulator commit faults."""
        await self.simulator.feed.misbehave(FaultRequest(**faults))

    def events_sent(self) -> Counter[str]:
        """Records that there should be, by topic, for all that the simulator has sent."""
        return +Counter(
            {EVENT_TYPES[name]: count for name, count in self.simulator.feed.sent.items() if name in EVENT_TYPES}
        )

    async def connected(self, number: int) -> None:
        """Until the producer reads its connection of that number, subscribed to what it should be."""

        def subscribed() -> bool:
            live = [part for part in self.simulator.feed.connections if part.is_live]
            return (
                self.producer.connections >= number
                and self.producer.feed is not None
                and len(live) == 1
                and set(live[0].subscriptions.channels) == set(self.producer.subscriptions)
            )

        await eventually(subscribed)

    async def flowing(self, events: int = 300) -> None:
        """Until so many more events have come in."""
        wanted = self.producer.received.total() + events
        await eventually(lambda: self.producer.received.total() >= wanted)

    async def settled(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Stop the market's clock and wait until the condition holds for all that is sent nevertheless."""
        self.simulator.clock.pause()
        seen: list[int] = []

        def holds() -> bool:
            # What was due at the pause may be sent a tick later: two looks further apart than that.
            seen.append(self.simulator.feed.sent.total())
            return condition() and seen[-2:] == seen[-1:] * 2

        await eventually(holds, timeout_s=timeout_s)

    async def quiesced(self) -> Counter[str]:
        """Stop the market's clock; the records by topic once all that was sent is acknowledged.

        Fails unless as many are there as events were sent.
        """
        producer = self.producer
        await self.settled(
            lambda: (
                all(
                    producer.received[name] == count
                    for name, count in self.simulator.feed.sent.items()
                    if name in EVENT_TYPES
                )
                and sent_events(producer.publisher) == producer.received
            )
        )
        deadline_s = time.monotonic() + 10.0
        while True:
            written = await self.written()
            found = Counter({name: written[name] for name in EVENT_TYPES.values() if written[name]})
            # On a busy machine a round of the market ends after the clock has stopped: its events are to come.
            if found == self.events_sent():
                return written
            assert time.monotonic() < deadline_s, f"{found} are there, {self.events_sent()} were sent"
            await asyncio.sleep(0.1)


@asynccontextmanager
async def live_rig(
    broker_url: str,
    *,
    connect: bool = True,
    plan: Plan = Plan.ADVANCED,
    start: str = "10:00",
    events_per_s: float = 2000,
    **given: Any,
) -> AsyncIterator[Rig]:
    """A running producer on a simulated market of 40 symbols, a second after `start`.

    It is waited for until it is connected, where it wants to be and its plan lets it.
    """
    await ensure_topics(broker_url, topics.ALL_TOPICS, PARTITIONS)
    async with (
        Simulator(symbols=40, seed=7, start=start, events_per_s=events_per_s, plan=plan) as simulator,
        Publisher(broker_url) as publisher,
    ):
        values: dict[str, Any] = {
            "source": Source.SIMULATOR,
            "simulator_port": simulator.port,
            "silence_timeout_s": 15.0,
            "market_poll_s": 0.1,
        }
        settings = Settings(**(values | given))
        if not connect:
            await simulator.feed.misbehave(FaultRequest(market="closed"))
        producer = LiveProducer(settings, publisher)
        consumer = AIOKafkaConsumer(bootstrap_servers=broker_url, enable_auto_commit=False)
        async with serve_control(producer, 0) as port:
            await consumer.start()
            rig = Rig(simulator, producer, consumer, port)
            await rig.begin()
            rig.running = asyncio.create_task(producer.run())
            try:
                if connect and plan is Plan.ADVANCED:
                    await rig.connected(1)
                yield rig
            finally:
                producer.stopping.set()
                with contextlib.suppress(Exception):
                    await rig.running
                await consumer.stop()


def in_order_and_once(records: Iterable[Any]) -> bool:
    """Whether the numbers of each symbol's prints and quotes rise in its records, and none stands twice.

    Numbers of prints are equal now and then: one is what exchange, facility, id and number say.
    """
    sequences: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    seen: list[tuple[Any, ...]] = []
    for record in records:
        event = json.loads(record.value)
        if event.get("ev") in ("T", "Q"):
            sequences[event["ev"], record.key].append(event["q"])
            seen.append((event["ev"], record.key, event["q"], event.get("i"), event.get("x"), event.get("trfi")))
    return bool(seen) and len(seen) == len(set(seen)) and all(found == sorted(found) for found in sequences.values())
