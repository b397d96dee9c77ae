"""A changelog that is damaged on the broker's disk ends recovery with a clear error, and the process with it."""

import re
from functools import partial
from pathlib import Path

import pytest

from app.local.kafka import LocalKafka
from tests.consistency.counting_app import Count, add
from tests.consistency.harness import Tape, Workers
from tests.eventually import eventually
from tests.integration.stream.test_engine_input import append, damage

pytestmark = [pytest.mark.verify, pytest.mark.timeout(180)]

#: Bytes of a record batch: of a row, of the offset at which it begins (in no checksum), of that at which it ends.
PLACES = {"row": -1, "first byte of its offset": 0, "last byte of its offset": 7, "last offset": 23}


async def is_table(tape: Tape, rows: dict[str, Count]) -> bool:
    """Whether the table has these rows."""
    return await tape.table() == rows


@pytest.mark.parametrize("place", PLACES)
async def test_a_damaged_record_batch_of_a_changelog_ends_the_worker(
    place: str, own_kafka: LocalKafka, tmp_path: Path
) -> None:
    """Left out it would take rows, or what they cover, along; the worker names it, and says what to do."""
    tape = Tape(own_kafka.bootstrap_servers, "damaged", seed=1)
    await tape.create_topics()
    workers = Workers(own_kafka.bootstrap_servers, tape.name, tmp_path)
    workers.start()
    try:
        row: Count | None = None
        for value in (1, 2, 3):
            await append(own_kafka.bootstrap_servers, "damaged.source", None, [value])
            row = add(row, value)
            await eventually(partial(is_table, tape, {"a": row}), timeout_s=30)
        workers.stop()
        own_kafka.stop()
        # At 0 is the claim; each flush is one record.
        damage(tmp_path / "kafka" / "data" / "damaged.counts-0" / f"{0:020d}.log", 2, PLACES[place])
        own_kafka.start()
        own_kafka.wait_ready()
        workers.start()
        await eventually(lambda: workers.running[0].poll() is not None, timeout_s=60)
        code = workers.running[0].returncode
    finally:
        workers.stop()
    log = (tmp_path / "worker-2.log").read_text()

    assert code == 1, log
    (said,) = {re.sub(r".*reason=", "", line) for line in log.splitlines() if "worker_fails" in line}
    assert "UnreadableRowError: damaged.counts[0]: the records 2 to 2 of the changelog cannot be read" in said
    assert "CorruptRecordException" in said
    assert "restore the topic from a backup, or delete it to build it anew" in said
    assert "partition_taken_over           partition=0" not in log
