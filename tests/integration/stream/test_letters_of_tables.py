"""A record that several tables refuse is one letter, which names them all, and which all of them wait for."""

import asyncio
from collections.abc import Callable

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faust.types import TP

from app.stream import BatchedTable, PartitionView, RecordBatch, RecordBatchSchema
from app.stream.letters import DeadLetter
from tests.integration.stream.owners import Count, Owner, batch_of, owners, read_log
from tests.integration.stream.owners import fold as count


def refusing(*offsets: int) -> Callable[[PartitionView[Count], RecordBatch], None]:
    """A fold that cannot take the records at some offsets."""

    def fold(view: PartitionView[Count], batch: RecordBatch) -> None:
        if set(batch.offsets) & set(offsets):
            raise ValueError(f"one of {sorted(set(batch.offsets) & set(offsets))} is no good")
        count(view, batch)

    return fold


async def with_second_table(owner: Owner) -> BatchedTable[Count]:
    """A second table of the same source, taken over with the first."""
    name = f"{owner.app.conf.id}.second"
    admin = AIOKafkaAdminClient(bootstrap_servers=owner.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1, topic_configs={"max.message.bytes": "16777216"})])
    await admin.close()
    second = BatchedTable[Count](
        owner.app, name="second", changelog_topic=owner.app.topic(name, schema=RecordBatchSchema()),
        sources=[owner.source], encode=msgspec.json.encode, decode=msgspec.json.Decoder(Count).decode,
        dead_letters=owner.table.dead_letters,
    )  # fmt: skip
    owner.changelogs[TP(name, 0)] = second
    return second


async def test_a_record_that_two_tables_refuse_is_one_letter_that_names_both(broker_url: str, unique: str) -> None:
    """What one of them refuses alone is a letter of its own; each counts what it can fold."""
    async with owners(broker_url, f"letters-{unique}", 1) as (owner,):
        second = await with_second_table(owner)
        await owner.take()
        batch = batch_of(owner.source, 0, 10, keys=("a",))
        await asyncio.gather(owner.table.fold(batch, refusing(3, 5)), second.fold(batch, refusing(5, 7)))
        await asyncio.gather(owner.table.drain(), second.drain())

        records = await read_log(broker_url, f"{owner.app.conf.id}.dead")
        letters = sorted(
            (msgspec.json.decode(record.value, type=DeadLetter) for record in records), key=lambda x: x.offset
        )
        assert [(letter.offset, letter.tables) for letter in letters] == [
            (3, ["table"]), (5, ["second", "table"]), (7, ["second"])
        ]  # fmt: skip
        assert all("is no good" in letter.reason for letter in letters)
        assert owner.counted == 8
        assert second.owned[0].rows == {"a": Count(8)}
        assert owner.table.covered(owner.source, 0) == second.covered(owner.source, 0) == 10
        assert not owner.crashed
