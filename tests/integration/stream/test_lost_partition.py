"""A partition that goes away while its agent waits for its flushes does not hold the agent up."""

import asyncio
from types import SimpleNamespace

from app.stream import PartitionView, RecordBatch
from app.stream.flushing import MAX_FLUSHES_UNDER_WAY
from tests.integration.stream.owners import Count, owners

FLUSHES = 3 * MAX_FLUSHES_UNDER_WAY


def batch_of(topic: str, first: int) -> RecordBatch:
    """Good records with broken ones between them, so that one fold becomes many flushes."""
    records = [
        SimpleNamespace(
            offset=offset, key=b"K%d" % offset, value=b"1" if offset % 2 else b"bad", headers=(), timestamp=0
        )
        for offset in range(first, first + 2 * FLUSHES)
    ]
    return RecordBatch(topic, 0, records, first + len(records), position=first)


def fold(view: PartitionView[Count], batch: RecordBatch) -> None:
    for key, value in zip(batch.keys, batch.values, strict=True):
        view[str(key)] = Count(int(value or b""))


async def test_a_fold_whose_partition_is_lost_meanwhile_returns(broker_url: str, unique: str) -> None:
    """It waited for room among flushes that nobody counted down any more, and the agent with it, for ever."""
    async with owners(broker_url, f"lost-{unique}", 1) as (owner,):
        await owner.take()
        for lost in (False, True):
            first = owner.table.covered(owner.source, 0) or 0
            folding = asyncio.create_task(owner.table.fold(batch_of(owner.source, first), fold))
            await asyncio.sleep(0)
            assert not folding.done(), "the fold waits for its flushes"
            if lost:
                await owner.table.on_rebalance(set(), set(), set())
            changes = await asyncio.wait_for(folding, 20)
            assert len(changes) == FLUSHES
            await asyncio.wait_for(owner.table.drain(), 20)

        assert not owner.crashed
