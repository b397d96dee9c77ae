"""A worker whose broker goes away keeps its rows, waits, says so, and goes on: the same process, each record once."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.local.kafka import LocalKafka
from tests.consistency.harness import Tape, Workers
from tests.eventually import eventually

#: The worker's watchdog ends it after 3 s in which nothing moves, and a request of it times out after this long: both
#: are over long before the broker is back.
REQUEST_S = 4

#: A broker that is back answers within this time on a machine with another load; quiet it is about a second.
BACK_S = 20.0


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("how", "away_s"),
    [
        pytest.param("killed", 9, marks=pytest.mark.verify),
        pytest.param("paused", 15, marks=pytest.mark.verify),
        pytest.param("killed", 40, marks=pytest.mark.verify),
    ],
)
async def test_a_worker_waits_for_its_broker(
    own_kafka: LocalKafka, how: str, away_s: float, tmp_path: Path, say: Callable[[str], None]
) -> None:
    """It is taken away in the middle of reading, with flushes under way that expire several times."""
    tape = Tape(own_kafka.bootstrap_servers, "away", seed=3)
    await tape.create_topics()
    await tape.produce(100_000, chunk=5000)
    workers = Workers(own_kafka.bootstrap_servers, "away", tmp_path)
    workers.arguments.append(str(REQUEST_S))
    workers.start()
    log = tmp_path / "worker-1.log"
    try:
        await eventually(lambda: b"Worker ready" in log.read_bytes(), timeout_s=40, interval_s=0.01)
        pid = own_kafka.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        await asyncio.sleep(away_s)  # The outage itself is what is tested.
        assert workers.reap() == 0, log.read_text()
        if how == "killed":
            await asyncio.to_thread(own_kafka.stop)
            await asyncio.to_thread(own_kafka.start)
            await asyncio.to_thread(own_kafka.wait_ready)
        else:
            os.kill(pid, signal.SIGCONT)
        since_s = time.monotonic()
        await tape.produce(1000)

        async def all_counted() -> bool:
            return await tape.counted() >= tape.produced

        await eventually(all_counted, timeout_s=BACK_S)
        say(f"{how} for {away_s} s: a worker has counted all {time.monotonic() - since_s:.1f} s after Kafka was back")
        await eventually(lambda: "kafka_answers_again" in log.read_text(), timeout_s=BACK_S)
        assert workers.reap() == 0, "it is the process that was there before"
    finally:
        workers.stop()
    assert await tape.table() == tape.expected
    text = log.read_text()
    assert 1 <= text.count("kafka_away") <= 2, "once a minute"
    assert text.count("Worker ready") <= 2, "its partitions were assigned anew at most once"


@pytest.mark.verify
@pytest.mark.timeout(120)
async def test_a_worker_that_hangs_is_ended_though_its_broker_was_away(own_kafka: LocalKafka, tmp_path: Path) -> None:
    """The broker excuses a worker for as long as it is away, and not from then on."""
    tape = Tape(own_kafka.bootstrap_servers, "hangs", seed=4)
    await tape.create_topics()
    await tape.produce(1000)
    workers = Workers(own_kafka.bootstrap_servers, "hangs", tmp_path)
    workers.start()
    log = tmp_path / "worker-1.log"
    try:

        async def all_counted() -> bool:
            return await tape.counted() >= tape.produced

        await eventually(all_counted, timeout_s=40)
        pid = own_kafka.process.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await eventually(lambda: "kafka_away" in log.read_text(), timeout_s=20)
        os.kill(pid, signal.SIGCONT)
        await tape.stall()
        await eventually(lambda: workers.reap() == 1, timeout_s=40)
    finally:
        workers.stop()
    assert "StalledError: hangs.source[0]: 1 records are waiting" in log.read_text()
