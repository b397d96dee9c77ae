"""Workers that die at random moments leave the table that a calm run would have left."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.local.kafka import LocalKafka
from tests.conftest import free_port
from tests.consistency.harness import Tape, Workers, disturb
from tests.eventually import eventually

ROUNDS = int(os.environ.get("DIFFERENTIAL_ROUNDS", "5"))
#: A paused broker: longer than the workers' sessions (3 s) and than their watchdogs wait (3 s).
PAUSE_S = 6.0
Disturb = Callable[[], None] | None


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
    bootstrap: str, name: str, logs: Path, rounds: int, restart_broker: Disturb = None, pause_broker: Disturb = None
) -> None:
    """Disturb workers for some rounds; their table is the one that an undisturbed worker would have left."""
    tape = Tape(bootstrap, name, seed=7)
    await tape.create_topics()
    workers = Workers(bootstrap, tape.name, logs)
    try:
        workers.start()
        workers.start()
        producing = asyncio.create_task(tape.produce(4000 * rounds, every_s=0.3))
        done = await disturb(workers, tape, rounds, restart_broker=restart_broker, pause_broker=pause_broker)
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
    await differential(broker_url, f"differential-{unique}", tmp_path, rounds=2)


@pytest.mark.verify
@pytest.mark.timeout(120 + 20 * ROUNDS)
async def test_killed_workers_count_each_record_once(broker: LocalKafka, tmp_path: Path) -> None:
    """Every record counts exactly once, in order, whatever is killed, leaves, joins, pauses or is restarted."""

    def restart_broker() -> None:
        broker.stop()
        broker.start()
        broker.wait_ready()

    def pause_broker() -> None:
        pid = broker.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        time.sleep(PAUSE_S)  # The pause itself is what is tested.
        os.kill(pid, signal.SIGCONT)

    await differential(broker.bootstrap_servers, "differential", tmp_path, ROUNDS, restart_broker, pause_broker)
