"""A source that lost its beginning: what nobody has counted is said, what all have counted is no matter."""

from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from tests.consistency.harness import PARTITIONS, Tape, Workers
from tests.eventually import eventually

pytestmark = [pytest.mark.verify, pytest.mark.timeout(180)]


async def delete_before(tape: Tape, offset: int) -> None:
    """Delete the records of the source's first partition before an offset (-1: all that there are)."""
    admin = AIOKafkaAdminClient(bootstrap_servers=tape.bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(f"{tape.name}.source", 0): RecordsToDelete(before_offset=offset)})
    await admin.close()


async def test_only_records_that_were_deleted_before_they_were_counted_are_told(
    broker_url: str, unique: str, tmp_path: Path
) -> None:
    """First all of a counted source goes, as retention does; then records that came while no worker ran."""
    tape = Tape(broker_url, f"begins-{unique}", seed=1)
    await tape.create_topics()
    workers = Workers(broker_url, tape.name, tmp_path)

    async def counted() -> bool:
        return await tape.table() == tape.expected

    try:
        workers.start()
        await tape.produce(500)
        await eventually(counted, timeout_s=40)
        workers.stop()
        await delete_before(tape, -1)
        workers.start()
        await tape.produce(500)
        await eventually(counted, timeout_s=40)
        workers.stop()
        assert b"source_deleted" not in (tmp_path / "worker-2.log").read_bytes()
        assert b"source_made_anew" not in (tmp_path / "worker-2.log").read_bytes()

        before = dict(tape.expected)
        await tape.produce(200)
        await delete_before(tape, -1)
        # Keys of the first partition have lost what came; those of the others have not.
        lost = {key for key in tape.expected if int(key[1:]) % PARTITIONS == 0}
        tape.expected = {key: before.get(key, row) if key in lost else row for key, row in tape.expected.items()}
        tape.expected = {key: row for key, row in tape.expected.items() if key in before or key not in lost}
        workers.start()
        await eventually(counted, timeout_s=40)
        await tape.produce(200)
        await eventually(counted, timeout_s=40)
    finally:
        workers.stop()
    said = [line for line in (tmp_path / "worker-3.log").read_text().splitlines() if "source_deleted" in line]
    assert len(said) == 1, said
    assert f"{tape.name}.source[0]" in said[0]
