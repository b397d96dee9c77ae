"""A partition that goes away while its agent waits for its flushes does not hold the agent up."""

import asyncio
from types import SimpleNamespace

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.stream import BatchedTable, PartitionView, RecordBatch, RecordBatchSchema
from app.stream.application import batched_app
from app.stream.dead_letters import DeadLetterWriter
from app.stream.flushing import MAX_FLUSHES_UNDER_WAY
from app.stream.partition import PartitionState

FLUSHES = 3 * MAX_FLUSHES_UNDER_WAY


def batch_of(topic: str) -> RecordBatch:
    """Good records with broken ones between them, so that one fold becomes many flushes."""
    records = [
        SimpleNamespace(
            offset=offset, key=b"K%d" % offset, value=b"1" if offset % 2 else b"bad", headers=(), timestamp=0
        )
        for offset in range(2 * FLUSHES)
    ]
    return RecordBatch(topic, 0, records, len(records), [])


def fold(view: PartitionView[int], batch: RecordBatch) -> None:
    for key, value in zip(batch.keys, batch.values, strict=True):
        view[str(key)] = int(value or b"")


async def test_a_fold_whose_partition_is_lost_meanwhile_returns(broker_url: str, unique: str) -> None:
    """It waited for room among flushes that nobody counted down any more, and the agent with it, for ever."""
    names = [f"lost-{unique}.{what}" for what in ("source", "table", "dead")]
    admin = AIOKafkaAdminClient(bootstrap_servers=broker_url)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1) for name in names])
    await admin.close()
    app = batched_app(f"lost-{unique}", broker_url, partitions=1)
    table = BatchedTable[int](
        app, name="lost", changelog_topic=app.topic(names[1], schema=RecordBatchSchema()), sources=[names[0]],
        encode=msgspec.json.encode, decode=msgspec.json.Decoder(int).decode,
        dead_letters=DeadLetterWriter(app, names[2]),
    )  # fmt: skip
    app.finalize()
    await app.producer.start()
    try:
        for lost in (False, True):
            table.data.partitions[0] = PartitionState[int](0)
            folding = asyncio.create_task(table.fold(batch_of(names[0]), fold))
            await asyncio.sleep(0)
            assert not folding.done(), "the fold waits for its flushes"
            if lost:
                await table.on_rebalance(set(), set(), set())
            changes = await asyncio.wait_for(folding, 20)
            assert len(changes) == FLUSHES
            await asyncio.wait_for(table.drain(), 20)
    finally:
        await app.producer.stop()
