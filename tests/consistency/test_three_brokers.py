"""Whatever three brokers suffer: each raw event is in Kafka once, and a gateway follows its tables again."""

import asyncio
import json
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator

import httpx
import pytest

from app.kafka.admin import ensure_topics
from app.kafka.topics import ALL_TOPICS
from tests.eventually import eventually
from tests.gateway_stack import GatewayProcess, Tables
from tests.integration.producers.live_rig import PARTITIONS, Rig, live_rig
from tests.kafka_cluster import NODES, KafkaCluster, kafka_cluster, settled

pytestmark = [pytest.mark.verify, pytest.mark.timeout(400)]

#: aiokafka gives a batch up after 40 s without a leader: an outage beyond that is where events stood twice.
BEYOND_EXPIRY_S = 50.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    with kafka_cluster(tmp_path_factory.mktemp("cluster")) as found:
        asyncio.run(ensure_topics(found.bootstrap_servers, ALL_TOPICS, PARTITIONS, NODES, 2))
        yield found


@pytest.fixture(scope="module")
def gateway(cluster: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(cluster.bootstrap_servers, tmp_path_factory.mktemp("gateway") / "gateway.log").start()
    yield process
    assert process.stop() == 0


async def _kill(cluster: KafkaCluster, number: int) -> None:
    cluster.send(number, signal.SIGKILL)
    await asyncio.sleep(12.0)  # Longer than the controller takes to elect others.
    await asyncio.to_thread(cluster.start_again, number)


async def leader_killed(cluster: KafkaCluster) -> None:
    """The node that leads most partitions."""
    await _kill(cluster, await cluster.leader_of_most())


async def coordinator_killed(cluster: KafkaCluster) -> None:
    """The node that the workers' group depends on."""
    await _kill(cluster, await cluster.coordinator("tapereader"))


async def leader_paused(cluster: KafkaCluster) -> None:
    """It keeps its connections, and is not heard of."""
    number = await cluster.leader_of_most()
    cluster.send(number, signal.SIGSTOP)
    await asyncio.sleep(20.0)
    cluster.send(number, signal.SIGCONT)
    if not cluster.nodes[number].process.alive:
        await asyncio.to_thread(cluster.start_again, number)


async def restarted_in_turn(cluster: KafkaCluster) -> None:
    """As an upgrade does: the next one when all replicas are in sync."""
    for number in cluster.nodes:
        await asyncio.to_thread(cluster.restart, number)
        await settled(cluster)


async def two_of_three_killed(cluster: KafkaCluster) -> None:
    """Nothing can be written for longer than aiokafka keeps a batch, then leaders are missing for a while."""
    for number in (1, 2):
        cluster.send(number, signal.SIGKILL)
    await asyncio.sleep(BEYOND_EXPIRY_S)
    cluster.send(3, signal.SIGSTOP)
    await asyncio.to_thread(cluster.start_again, 1)
    cluster.send(3, signal.SIGCONT)
    await asyncio.to_thread(cluster.start_again, 2)


@pytest.mark.parametrize(
    "fault", [leader_killed, coordinator_killed, leader_paused, restarted_in_turn, two_of_three_killed]
)
async def test_each_event_is_written_once_whatever_brokers_suffer(
    cluster: KafkaCluster,
    gateway: GatewayProcess,
    fault: Callable[[KafkaCluster], Awaitable[None]],
    say: Callable[[str], None],
) -> None:
    """The simulator's counts are the topics', no sequence number is missing or twice, all go on by themselves."""
    await settled(cluster)
    async with live_rig(cluster.bootstrap_servers, silence_timeout_s=120, producer_buffer_events=2_000_000) as rig:
        await rig.flowing(2000)
        gaps = asyncio.create_task(_longest_gap(rig))
        await fault(cluster)
        await settled(cluster)
        await rig.flowing(2000)
        await rig.settled(lambda: rig.producer.publisher.sent == rig.producer.received == +rig.simulator.feed.sent, 120)
        gaps.cancel()
        served_s = await _follows(cluster, gateway, fault.__name__.upper())
        assert "Traceback" not in gateway.log(), "an outage is said in a sentence"
        say(f"{fault.__name__}: producer's longest gap {await gaps:.1f} s, gateway serves {served_s:.1f} s after")

        records = await rig.records()
        assert len(records) == rig.simulator.feed.sent.total()
        counts = Counter(json.loads(record.value)["ev"] for record in records)
        assert counts == rig.simulator.feed.sent
        sequences: dict[tuple[str, bytes], list[int]] = defaultdict(list)
        for record in records:
            event = json.loads(record.value)
            if event["ev"] in ("T", "Q"):
                sequences[event["ev"], record.key].append(event["q"])
        assert all(found == sorted(set(found)) for found in sequences.values())
        assert rig.producer.connections == 1


async def _longest_gap(rig: Rig) -> float:
    """The longest time (s) without an acknowledged event, until cancelled."""
    longest_s, seen, since_s = 0.0, -1, time.monotonic()
    try:
        while True:
            now_s, sent = time.monotonic(), rig.producer.publisher.sent.total()
            if sent != seen:
                seen, since_s = sent, now_s
            longest_s = max(longest_s, now_s - since_s)
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return longest_s


async def _follows(cluster: KafkaCluster, gateway: GatewayProcess, symbol: str) -> float:
    """Write a row; how long (s) until the gateway serves it and is ready."""
    async with Tables(cluster.bootstrap_servers) as tables:
        await tables.quote(symbol)
    since_s = time.monotonic()
    async with httpx.AsyncClient(base_url=gateway.url) as http:

        async def served() -> bool:
            answers = await http.get(f"/api/quotes/{symbol}"), await http.get("/readyz")
            return all(answer.status_code == 200 for answer in answers)

        await eventually(served, timeout_s=20)
    return time.monotonic() - since_s
