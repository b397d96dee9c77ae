"""Workers that die at random moments leave the table that a calm run would have left."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.consistency.harness import Tape, Workers, disturb
from tests.eventually import eventually

ROUNDS = int(os.environ.get("DIFFERENTIAL_ROUNDS", "5"))


@pytest.mark.timeout(60 + 20 * ROUNDS)
async def test_killed_workers_count_each_record_once(broker_url: str, unique: str, tmp_path: Path) -> None:
    """Every record counts exactly once, in order, whatever kills, leaves and joins there were."""
    tape = Tape(broker_url, f"differential-{unique}", seed=7)
    await tape.create_topics()
    workers = Workers(broker_url, tape.name, tmp_path)
    try:
        workers.start()
        workers.start()
        producing = asyncio.create_task(tape.produce(4000 * ROUNDS, every_s=0.3))
        done = await disturb(workers, tape, ROUNDS)
        await producing
        workers.reap()
        if not workers.running:
            workers.start()

        async def all_counted() -> bool:
            return await tape.counted() >= tape.produced

        await eventually(all_counted, timeout_s=60)
    finally:
        workers.stop()

    assert await tape.table() == tape.expected, done
