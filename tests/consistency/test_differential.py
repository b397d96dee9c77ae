"""Workers that die at random moments leave the table that a calm run would have left."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.local.kafka import LocalKafka
from tests.conftest import free_port
from tests.consistency.harness import BrokerFault, Tape, Workers, disturb, faults_of
from tests.eventually import eventually
from tests.kafka_cluster import NODES, kafka_cluster

ROUNDS = int(os.environ.get("DIFFERENTIAL_ROUNDS", "5"))
#: A paused broker: longer than the workers' sessions (3 s) and than their watchdogs wait (3 s).
PAUSE_S = 6.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalKafka]:
    """A broker of the test's own: it is restarted in the middle."""
    found = LocalKafka(tmp_path / "kafka", free_port(), free_port())
    found.start()
    try:
        found.wait_ready()
        yield found
    finally:
        found.stop()


async def differential(
    bootstrap: str, name: str, logs: Path, rounds: int, broker_faults: Mapping[int, BrokerFault], replicas: int = 1
) -> None:
    """Disturb workers for some rounds; their table is the one that an undisturbed worker would have left."""
    tape = Tape(bootstrap, name, seed=7)
    await tape.create_topics(replicas=replicas)
    workers = Workers(bootstrap, tape.name, logs)
    try:
        workers.start()
        workers.start()
        producing = asyncio.create_task(tape.produce(4000 * rounds, every_s=0.3))
        done = await disturb(workers, random.Random(14), rounds, broker_faults=broker_faults)
        await producing
        workers.reap()
        if not workers.running:
            workers.start()

        async def all_counted() -> bool:
            return await tape.counted() >= tape.produced

        await eventually(all_counted, timeout_s=90)
    finally:
        workers.stop()
    assert await tape.table() == tape.expected, done


@pytest.mark.timeout(150)
async def test_disturbed_workers_count_each_record_once(broker_url: str, unique: str, tmp_path: Path) -> None:
    """Two rounds, on the broker of the other tests: it stays."""
    await differential(broker_url, f"differential-{unique}", tmp_path, 2, {})


@pytest.mark.verify
@pytest.mark.timeout(120 + 20 * ROUNDS)
async def test_killed_workers_count_each_record_once(broker: LocalKafka, tmp_path: Path) -> None:
    """Every record counts exactly once, in order, whatever is killed, leaves, joins, pauses or is restarted."""

    async def broker_restarted() -> None:
        await asyncio.to_thread(broker.stop)
        broker.start()
        await asyncio.to_thread(broker.wait_ready)

    async def broker_paused() -> None:
        pid = broker.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(PAUSE_S)  # The pause itself is what is tested.
        os.kill(pid, signal.SIGCONT)

    faults = {2: broker_restarted, 4: broker_paused}
    await differential(broker.bootstrap_servers, "differential", tmp_path, ROUNDS, faults)


@pytest.mark.long
@pytest.mark.timeout(240 + 40 * ROUNDS)
async def test_workers_and_three_brokers_that_are_hurt_count_each_record_once(tmp_path: Path) -> None:
    """Leaders and coordinators are killed, paused and restarted in turn between the workers' own ends and pauses."""
    with kafka_cluster(tmp_path / "cluster") as cluster:
        faults = faults_of(cluster, "differential")
        await differential(cluster.bootstrap_servers, "differential", tmp_path, ROUNDS, faults, NODES)
