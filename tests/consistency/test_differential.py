"""Workers that die at random moments leave the table that a calm run would have left."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.local.kafka import LocalKafka
from tests.conftest import free_port
from tests.consistency.harness import Tape, Workers, disturb
from tests.eventually import eventually

ROUNDS = int(os.environ.get("DIFFERENTIAL_ROUNDS", "5"))


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


@pytest.mark.timeout(120 + 20 * ROUNDS)
async def test_killed_workers_count_each_record_once(broker: LocalKafka, tmp_path: Path) -> None:
    """Every record counts exactly once, in order, whatever kills, leaves, joins and broker restarts there were."""
    tape = Tape(broker.bootstrap_servers, "differential", seed=7)
    await tape.create_topics()
    workers = Workers(broker.bootstrap_servers, tape.name, tmp_path)

    def restart_broker() -> None:
        broker.stop()
        broker.start()
        broker.wait_ready()

    try:
        workers.start()
        workers.start()
        producing = asyncio.create_task(tape.produce(4000 * ROUNDS, every_s=0.3))
        done = await disturb(workers, tape, ROUNDS, restart_broker=restart_broker)
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
