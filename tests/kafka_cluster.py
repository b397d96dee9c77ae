"""Three brokers (KRaft, replication 3, two in sync) on loopback, and how to hurt each of them."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from app.local.kafka import LocalKafka, new_cluster_id
from tests.conftest import free_port

NODES = 3

#: Longer than the controller takes to elect others: a session of 9 s.
AWAY_S = 12.0

#: Three brokers beside workers and a gateway on a small machine: each has little to hold.
HEAP_OPTIONS = ("-Xmx384m", "-Xms128m", "-XX:+UseSerialGC")


class KafkaCluster:
    """Brokers that a test may kill, pause and restart; node ids are 1 to 3.

    Sessions, replica lags and retries have Kafka's own defaults: what a failure costs here it costs anywhere.
    """

    def __init__(self, data_dir: Path) -> None:
        ports = [(free_port(), free_port()) for _ in range(NODES)]
        cluster_id = new_cluster_id()
        voters = ",".join(f"{number}@127.0.0.1:{controller}" for number, (_, controller) in enumerate(ports, 1))
        self.nodes = {
            number: LocalKafka(
                data_dir / f"kafka-{number}", port, controller, cluster_id=cluster_id, heap_options=HEAP_OPTIONS,
                properties={
                    "node.id": str(number),
                    "controller.quorum.voters": voters,
                    "default.replication.factor": "3",
                    "min.insync.replicas": "2",
                    "offsets.topic.replication.factor": "3",
                    "transaction.state.log.replication.factor": "3",
                    "transaction.state.log.min.isr": "2",
                },
            )
            for number, (port, controller) in enumerate(ports, 1)
        }  # fmt: skip

    @property
    def bootstrap_servers(self) -> str:
        """Where clients connect: all three."""
        return ",".join(node.bootstrap_servers for node in self.nodes.values())

    def start(self) -> None:
        """Start all and wait until they answer."""
        for node in self.nodes.values():
            node.start()
        for node in self.nodes.values():
            node.wait_ready(120)

    def stop(self) -> None:
        """End all at once; a paused one too."""
        for node in self.nodes.values():
            if node.process.pid is not None:
                os.kill(node.process.pid, signal.SIGKILL)
        for node in self.nodes.values():
            node.stop()

    def send(self, number: int, how: signal.Signals) -> None:
        """Send a node a signal: SIGKILL, SIGSTOP, SIGCONT."""
        pid = self.nodes[number].process.pid
        assert pid is not None, f"broker {number} does not run"
        os.kill(pid, how)

    def start_again(self, number: int) -> None:
        """Start a node that was killed, and wait until it answers."""
        self.nodes[number].stop()
        self.nodes[number].start()
        self.nodes[number].wait_ready(120)

    def restart(self, number: int) -> None:
        """Stop a node in order, as an upgrade does, and start it again."""
        self.nodes[number].stop(60)
        self.nodes[number].start()
        self.nodes[number].wait_ready(120)

    @asynccontextmanager
    async def killed(self, *numbers: int) -> AsyncIterator[None]:
        """Kill nodes together; at the end of the context they come back, and answer."""
        for number in numbers:
            self.send(number, signal.SIGKILL)
        try:
            yield
        finally:
            await asyncio.gather(*(asyncio.to_thread(self.start_again, number) for number in numbers))

    async def kill_for(self, number: int, away_s: float) -> None:
        """Kill a node; it comes back after a time."""
        async with self.killed(number):
            await asyncio.sleep(away_s)

    async def pause_for(self, number: int, away_s: float) -> None:
        """Let a node stand still: it keeps its connections, and is not heard of."""
        self.send(number, signal.SIGSTOP)
        await asyncio.sleep(away_s)
        self.send(number, signal.SIGCONT)
        if not self.nodes[number].process.alive:
            await asyncio.to_thread(self.start_again, number)

    async def restart_in_turn(self) -> None:
        """As an upgrade does: the next one when all replicas are in sync."""
        for number in self.nodes:
            await asyncio.to_thread(self.restart, number)
            await settled(self)

    async def leaders(self) -> Counter[int]:
        """How many partitions each node leads."""
        async with self._admin() as admin:
            topics = await admin.list_topics()
            found = Counter[int]()
            for topic in await admin.describe_topics(list(topics)):
                found.update(part["leader"] for part in topic["partitions"])
            return found

    async def leader_of_most(self) -> int:
        """The node that leads most partitions."""
        return (await self.leaders()).most_common(1)[0][0]

    async def coordinator(self, group: str) -> int:
        """The node that coordinates a consumer group."""
        async with self._admin() as admin:
            return int(await admin.find_coordinator(group))

    async def writable(self) -> bool:
        """Whether every partition has a leader and replicas enough to be written with `acks=all`."""
        try:
            async with self._admin() as admin:
                described = await admin.describe_topics(list(await admin.list_topics()))
        except (KafkaError, OSError, TimeoutError):
            return False
        return all(part["leader"] >= 0 and len(part["isr"]) >= 2 for topic in described for part in topic["partitions"])

    async def whole(self) -> bool:
        """Whether every partition has all its replicas in sync."""
        async with self._admin() as admin:
            described = await admin.describe_topics(list(await admin.list_topics()))
        return all(len(part["isr"]) == len(part["replicas"]) for topic in described for part in topic["partitions"])

    def _admin(self) -> "_Admin":
        return _Admin(self.bootstrap_servers)


class _Admin:
    """An admin client for the time of a question."""

    def __init__(self, bootstrap: str) -> None:
        self._client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)

    async def __aenter__(self) -> AIOKafkaAdminClient:
        await self._client.start()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()


@contextmanager
def kafka_cluster(data_dir: Path) -> Iterator[KafkaCluster]:
    """A cluster that runs while the context lasts."""
    cluster = KafkaCluster(data_dir)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


async def settled(cluster: KafkaCluster) -> None:
    """Wait until all replicas are in sync again: only then may the next broker be hurt."""
    async with asyncio.timeout(90):
        while True:
            try:
                if await cluster.whole():
                    return
            except Exception:
                pass
            await asyncio.sleep(0.5)
