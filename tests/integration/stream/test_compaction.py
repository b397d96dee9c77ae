"""A log that the broker has compacted says the same as before: who owned it, what is covered, whose rows they are.

The broker's own cleaner runs here, on segments of a tenth of a second.
"""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from faust.types import TP

from app.stream import PartitionView, RecordBatch
from tests.eventually import eventually
from tests.integration.agents.workers import own_broker
from tests.integration.stream.owners import Count, Owner, batch_of, make_source_anew, owners, read_log, rows_of

pytestmark = [pytest.mark.verify, pytest.mark.timeout(180)]

#: Every flush that comes a tenth of a second after the one before it begins a segment, and what is closed is cleaned.
EAGER = {"segment.ms": "100", "min.cleanable.dirty.ratio": "0.0", "min.compaction.lag.ms": "0"}

#: A key of records that only make segments roll.
FILLER = ("filler",)


@pytest.fixture(scope="module")
def cleaning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker that cleans several times a second."""
    with own_broker(tmp_path_factory.mktemp("cleaning"), {"log.cleaner.backoff.ms": "200"}) as bootstrap:
        yield bootstrap


async def compacted(owner: Owner, offset: int, *, begins: int) -> int:
    """Fold records of a filler, from source offset `begins` on, until one of the log was compacted; the next offset."""
    at = begins

    async def is_gone() -> bool:
        nonlocal at
        await owner.fold(at, at + 1, keys=FILLER)
        await owner.table.drain()
        at += 1
        return offset not in {record.offset for record in await read_log(owner.bootstrap, owner.changelog)}

    await eventually(is_gone, timeout_s=60)
    return at


async def newest_offset(owner: Owner) -> int:
    """The offset of the changelog's newest record."""
    return int((await read_log(owner.bootstrap, owner.changelog))[-1].offset)


async def test_a_source_made_anew_is_known_though_the_first_flush_that_told_of_it_is_gone(
    cleaning: str, unique: str
) -> None:
    """An older header stays, at a key that never comes again; once it made all newer flushes void after a start."""
    async with owners(cleaning, f"anew-{unique}", 3, changelog=EAGER) as (first, second, third):
        await first.take()
        await first.fold(0, 100, keys=("never again",))
        await first.table.drain()
        await make_source_anew(first)
        second.ends = {TP(first.source, 0): 40}
        await second.take()
        await second.fold(0, 20, keys=("a",))
        await second.table.drain()
        told = await newest_offset(second)
        await second.fold(20, 40, keys=("a",))
        await second.table.drain()
        at = await compacted(second, told, begins=40)
        third.ends = {TP(first.source, 0): at}
        await third.take()

        assert third.table.covered(third.source, 0) == at
        assert await rows_of(third) == {"never again": Count(100), "a": Count(40), "filler": Count(at - 40)}
        assert third.counted == 100 + at
        assert not third.crashed


async def test_compaction_takes_no_rightful_row_for_a_zombies_sake(cleaning: str, unique: str) -> None:
    """The zombie's flush of a key is not in the log, so that the rightful owner's is the newest of that key."""
    async with owners(cleaning, f"zombie-{unique}", 3, changelog=EAGER) as (zombie, new, reader):
        await zombie.take()
        await zombie.fold(0, 30)
        await zombie.table.drain()
        earlier = await newest_offset(zombie)
        await new.take()
        await new.fold(30, 60)
        await new.table.drain()
        await zombie.fold(30, 45, keys=("a", "d"))
        await zombie.table.drain()
        at = await compacted(new, earlier, begins=60)
        await reader.take()

        assert await rows_of(new) == {key: Count(20) for key in "abc"} | {"filler": Count(at - 60)}
        assert reader.counted == at == reader.table.covered(reader.source, 0)
        assert zombie.counted is None


async def offsets(owner: Owner) -> set[int]:
    """The offsets of the records that the changelog has now."""
    return {record.offset for record in await read_log(owner.bootstrap, owner.changelog)}


async def keep_tombstones(owner: Owner, milliseconds: int) -> None:
    """Have tombstones of the changelog that are cleaned from now on stay for so long."""
    admin = AIOKafkaAdminClient(bootstrap_servers=owner.bootstrap)
    await admin.start()
    settings = {**EAGER, "cleanup.policy": "compact", "delete.retention.ms": str(milliseconds)}
    await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, owner.changelog, settings)])
    await admin.close()


async def claim_and_die(owner: Owner) -> int:
    """Claim the partition in a segment of its own, and go no further; where the claim stands."""
    await asyncio.sleep(0.2)  # A segment lasts a tenth of a second.
    (offset,) = (await owner.app.tables.takeover.ownership.claim(0, [TP(owner.changelog, 0)])).values()
    return int(offset)


async def test_claims_take_nothing_with_them_that_says_what_is_covered(cleaning: str, unique: str) -> None:
    """It stood at a deleted row, whose tombstone goes, and was said again; then workers die as soon as they claimed."""
    tombstones = {**EAGER, "delete.retention.ms": "0"}
    async with owners(cleaning, f"covers-{unique}", 4, changelog=tombstones) as (first, second, dying, last):
        await first.take()
        await first.fold(0, 10, keys=("a",))
        await first.table.drain()
        row = await newest_offset(first)

        def delete(view: PartitionView[Count], _: RecordBatch) -> None:
            del view["a"]

        await first.table.fold(batch_of(first.source, 10, 11), delete)
        await first.table.drain()
        tombstone = await newest_offset(first)

        async def cleaned() -> bool:
            await claim_and_die(first)
            return row not in await offsets(first)

        await eventually(cleaned, timeout_s=60)
        await keep_tombstones(first, 86_400_000)
        await second.take()
        await second.table.drain()
        claim = await claim_and_die(dying)

        async def forgotten() -> bool:
            await claim_and_die(dying)
            return not {tombstone, claim} & await offsets(first)

        await eventually(forgotten, timeout_s=60)
        await last.take()

        assert last.table.covered(last.source, 0) == 11
        assert last.counted == 0
        assert not last.crashed
