"""A worker that gets no processor for less than its session's time keeps its partitions, and nobody else notices."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from tests.consistency.harness import Tape, Workers
from tests.eventually import eventually

pytestmark = [pytest.mark.verify, pytest.mark.timeout(180)]

#: The default session of a worker (ms): heartbeats leave each quarter of it.
SESSION_TIMEOUT_MS = 6000

#: One may leave just before a worker is starved: of the session so much is left for sure.
STARVED_S = 4.0


@pytest.fixture
async def workers(broker_url: str, unique: str, tmp_path: Path) -> AsyncIterator[tuple[Tape, Workers]]:
    """Two workers that have shared the partitions, and counted what there is."""
    tape = Tape(broker_url, f"starved-{unique}", seed=1)
    await tape.create_topics()
    found = Workers(broker_url, tape.name, tmp_path, session_timeout_ms=SESSION_TIMEOUT_MS)
    # The watchdog of these processes ends what holds the loop up for longer than that; by default after 60 s.
    found.arguments += ["30", "20"]
    try:
        for number in (1, 2):
            found.start()
            await eventually(partial(taken, found, number), timeout_s=60)
        await tape.produce(500)
        await counted(tape)
        yield tape, found
    finally:
        found.stop()


def taken(workers: Workers, number: int) -> int:
    """How many partitions a worker has taken over since its start."""
    return (workers.logs / f"worker-{number}.log").read_bytes().count(b"partition_taken_over")


def joined(workers: Workers) -> list[int]:
    """How often each worker has joined the group."""
    return [(workers.logs / f"worker-{number}.log").read_bytes().count(b"Joined group") for number in (1, 2)]


async def counted(tape: Tape) -> None:
    """Wait until the table is what was produced."""

    async def is_so() -> bool:
        return await tape.table() == tape.expected

    await eventually(is_so, timeout_s=60)


async def test_a_worker_that_stands_still_is_not_thrown_out(workers: tuple[Tape, Workers]) -> None:
    """As on a machine that gives it no time at all."""
    tape, found = workers
    before = joined(found)
    for index in (0, 1):
        await asyncio.to_thread(found.pause, index, STARVED_S)
        await tape.produce(500)
        await counted(tape)

    assert joined(found) == before


async def test_a_fold_that_holds_the_loop_up_does_not_throw_its_worker_out(
    workers: tuple[Tape, Workers], broker_url: str
) -> None:
    """Heartbeats leave from a thread of their own, in the turns that the interpreter gives it."""
    tape, found = workers
    before = joined(found)
    producer = AIOKafkaProducer(bootstrap_servers=broker_url)
    await producer.start()
    # Read in one poll they last longer than the session, else nearly as long twice.
    for _ in range(2):
        await producer.send_and_wait(f"{tape.name}.source", key=b"K000", value=b"hold", partition=0)
    await producer.stop()
    await tape.produce(500)
    await counted(tape)

    assert joined(found) == before
    assert not found.reap(), "nor does it end"
