"""Each record counts once, whoever still writes: the broker refuses those who lost a partition.

Each of these is a run in which the protocol that judged stale writers afterwards lost or doubled records;
`tests/unit/stream/test_ownership_model.py` finds them in a model of it.
"""

import asyncio
from functools import partial

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from faust.types import TP

from app.stream import failing
from app.stream.covers import CLAIM_KEY, COVERS_KEY, decode_claim
from app.stream.letters import DeadLetter
from tests.integration.stream.owners import Count, batch_of, fold, make_source_anew, owners, read_log, rows_of


@pytest.fixture(autouse=True)
def _process_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that fails here is part of the tests' own process."""
    monkeypatch.setattr(failing, "end_soon", lambda: None)


async def opened(gate: asyncio.Event) -> None:
    """Wait for a gate."""
    await gate.wait()


async def test_a_last_flush_of_the_old_owner_takes_none_of_the_new_ones_with_it(broker_url: str, unique: str) -> None:
    """It lands while the new owner has two flushes under way: once the first of those was judged by it."""
    async with owners(broker_url, f"late-{unique}", 3) as (old, new, reader):
        await old.take()
        await old.fold(0, 100)
        await old.table.drain()
        await new.take()
        assert new.counted == 100
        await asyncio.gather(old.fold(100, 150), new.fold(100, 250), new.fold(250, 300))
        await asyncio.gather(old.table.drain(), new.table.drain())
        await reader.take()

        assert reader.counted == 300
        assert reader.table.covered(reader.source, 0) == 300
        assert old.counted is None, "it was told by the broker, and its rows are void"
        assert not old.crashed
        assert not new.crashed


async def test_what_the_old_owner_wrote_before_the_claim_counts(broker_url: str, unique: str) -> None:
    """Its flush was on its way when the partition was assigned anew."""
    async with owners(broker_url, f"before-{unique}", 2) as (old, new):
        await old.take()
        await asyncio.gather(old.fold(0, 100), old.fold(100, 150))
        await old.table.drain()
        await new.take()

        assert new.counted == 150


async def test_none_of_several_flushes_of_a_zombie_counts(broker_url: str, unique: str) -> None:
    """Once the second went on where the first had ended, and counted."""
    async with owners(broker_url, f"zombie-{unique}", 3) as (zombie, new, reader):
        await zombie.take()
        await zombie.fold(0, 100)
        await zombie.table.drain()
        await new.take()
        await asyncio.gather(zombie.fold(100, 150), zombie.fold(150, 200), zombie.fold(200, 210))
        await zombie.table.drain()
        await new.fold(100, 300)
        await new.table.drain()
        await reader.take()

        assert reader.counted == 300
        assert zombie.counted is None


async def test_a_zombie_leaves_nothing_that_compaction_could_choose(broker_url: str, unique: str) -> None:
    """The newest row of each key is the rightful one in the log itself, not only for who knows how to judge."""
    async with owners(broker_url, f"compacted-{unique}", 2) as (zombie, new):
        await zombie.take()
        await zombie.fold(0, 30)
        await zombie.table.drain()
        await new.take()
        await new.fold(30, 60)
        await new.table.drain()
        await zombie.fold(30, 45, keys=("a", "d"))
        await zombie.table.drain()

        assert await rows_of(new) == {key: Count(20) for key in "abc"}


@pytest.mark.parametrize("records", [40, 150], ids=["shorter", "longer"])
async def test_a_source_that_was_made_anew_counts_from_its_beginning(
    broker_url: str, unique: str, records: int
) -> None:
    """However long it is by now, and after another start too; once an older header made all later flushes void."""
    async with owners(broker_url, f"anew-{unique}-{records}", 3) as (first, second, third):
        await first.take()
        await first.fold(0, 100, keys=("never again",))
        await first.table.drain()
        await make_source_anew(first)
        second.ends = third.ends = {TP(first.source, 0): records}
        await second.take()
        assert second.table.covered(second.source, 0) == 0
        await second.fold(0, records, keys=("a",))
        await second.table.drain()
        await third.take()

        assert third.table.covered(third.source, 0) == records
        assert third.counted == 100 + records


async def test_a_flush_that_waits_does_not_leave_after_its_partition_is_lost(broker_url: str, unique: str) -> None:
    """It was folded before, and stood behind something slow."""
    async with owners(broker_url, f"revoked-{unique}", 1) as (owner,):
        await owner.take()
        gate = asyncio.Event()
        state = owner.table.owned[0]
        slow = asyncio.create_task(owner.table.flushing.send(state, [], [], None, partial(opened, gate)))
        await asyncio.sleep(0)
        folding = asyncio.create_task(owner.fold(0, 10))
        await asyncio.sleep(0)
        await owner.table.on_rebalance(set(), {TP(owner.changelog, 0)}, set())
        gate.set()
        await asyncio.gather(slow, folding)
        await owner.table.drain()

        assert await rows_of(owner) == {}


async def test_giving_up_a_partition_waits_for_its_flushes_with_an_end(broker_url: str, unique: str) -> None:
    """A broker that does not answer does not hold the rebalance up."""
    async with owners(broker_url, f"bounded-{unique}", 1) as (owner,):
        await owner.take()
        gate = asyncio.Event()
        await owner.table.flushing.send(owner.table.owned[0], [], [], None, partial(opened, gate))
        await asyncio.wait_for(owner.table._on_revoked(), 10)
        assert owner.table.flushes_under_way() == 1
        gate.set()


async def test_a_partition_that_is_kept_is_not_read_again(broker_url: str, unique: str) -> None:
    """The claim stands where its next record belongs: nobody wrote in between."""
    async with owners(broker_url, f"kept-{unique}", 2) as (owner, reader):
        assert not await owner.take()
        await owner.fold(0, 100)
        await owner.table.drain()
        writer = owner.app.tables.takeover.ownership.writer(0)
        state = owner.table.owned[0]
        assert await owner.take()
        assert owner.table.owned[0] is state
        assert owner.app.tables.takeover.ownership.writer(0) is writer
        await owner.fold(100, 200)
        await owner.table.drain()
        await reader.take()

        assert not owner.crashed
        assert reader.counted == 200


async def test_a_partition_that_another_had_meanwhile_is_read_again(broker_url: str, unique: str) -> None:
    """Thrown out of the group and back in it, without noticing."""
    async with owners(broker_url, f"back-{unique}", 2) as (owner, other):
        await owner.take()
        await owner.fold(0, 100)
        await owner.table.drain()
        await other.take()
        await other.fold(100, 150)
        await other.table.drain()
        assert not await owner.take()
        assert owner.counted == 150
        await owner.fold(150, 200)
        await owner.table.drain()
        assert not owner.crashed
        assert other.counted == 150, "it is told when it writes"
        await other.fold(150, 160)
        await other.table.drain()
        assert other.counted is None


async def test_who_writes_without_an_epoch_is_noticed(broker_url: str, unique: str) -> None:
    """A tool that appends while workers run: what Kafka has is not what the worker holds."""
    async with owners(broker_url, f"foreign-{unique}", 1) as (owner,):
        await owner.take()
        producer = AIOKafkaProducer(bootstrap_servers=broker_url)
        await producer.start()
        await producer.send_and_wait(owner.changelog, key=b"a", value=b"{}", partition=0)
        await producer.stop()
        await owner.fold(0, 10)
        await owner.table.drain()

        assert [type(error).__name__ for error in owner.crashed] == ["ForeignWriteError"]


async def test_a_claim_names_its_owner(broker_url: str, unique: str) -> None:
    """Its app, and the epoch that the broker gave it."""
    async with owners(broker_url, f"claim-{unique}", 2) as found:
        for owner in found:
            await owner.take()
        claims = [record for record in await read_log(broker_url, found[0].changelog) if record.key == CLAIM_KEY]
        first, second = (decode_claim(record.headers) for record in claims)

        assert first is not None
        assert second is not None
        assert first.owner == second.owner == f"claim-{unique}"
        assert first.producer_id == second.producer_id
        assert first.epoch < second.epoch


async def test_covers_that_compaction_may_forget_are_said_again(broker_url: str, unique: str) -> None:
    """The last flush ended with a deleted row; the next owner puts the word at the end of the log."""
    async with owners(broker_url, f"fade-{unique}", 3) as (first, second, third):
        await first.take()
        await first.fold(0, 10, keys=("a",))

        def delete(view: object, _: object) -> None:
            view.changes["a"] = None  # type: ignore[attr-defined]

        await first.table.fold(batch_of(first.source, 10, 11), delete)
        await first.table.drain()
        await second.take()
        await second.table.drain()
        (*_, last) = await read_log(broker_url, first.changelog)
        assert (last.key, last.value) == (COVERS_KEY, None)
        await third.take()
        assert third.table.covered(third.source, 0) == 11
        assert third.counted == 0


async def test_a_row_that_cannot_be_encoded_is_one_letter_and_covers_nothing_before(
    broker_url: str, unique: str
) -> None:
    """As a fold that raises, it is found by halving; its neighbours count."""
    async with owners(broker_url, f"encode-{unique}", 1) as (owner,):
        await owner.take()

        def encode(row: Count) -> bytes:
            if row.count == 3:
                raise TypeError("Encoding objects of type numpy.float64 is unsupported")
            return b'{"count":%d}' % row.count

        owner.table.encode_row = encode
        keys = ("a", "b", "b", "b", "c")
        await owner.table.fold(batch_of(owner.source, 0, 5, keys), fold)
        await owner.table.drain()

        assert await rows_of(owner) == {"a": Count(1), "b": Count(2), "c": Count(1)}
        found = [
            msgspec.json.decode(record.value, type=DeadLetter)
            for record in await read_log(broker_url, f"{owner.app.conf.id}.dead")
        ]
        assert [(letter.offset, letter.tables) for letter in found] == [(3, ["table"])]
        assert "numpy.float64" in found[0].reason


async def test_a_write_that_fits_no_record_batch_goes_in_pieces(broker_url: str, unique: str) -> None:
    """Recovery and repairs may write rows of more than 15 MiB."""
    async with owners(broker_url, f"pieces-{unique}", 2) as (owner, reader):
        await owner.take()
        owner.table.encode_row = lambda row: b'{"count":%d,"padding":"%s"}' % (row.count, b"x" * 6_000_000)
        await owner.table.write(0, {str(number): Count(number) for number in range(5)})
        await owner.table.drain()
        await reader.take()

        assert not owner.crashed
        assert reader.counted == 10


async def test_owners_are_told_apart_by_app(broker_url: str, unique: str) -> None:
    """Two apps with the same numbers of partitions do not fence each other."""
    async with owners(broker_url, f"one-{unique}", 1) as (one,), owners(broker_url, f"two-{unique}", 1) as (two,):
        await asyncio.gather(one.take(), two.take())
        await asyncio.gather(one.fold(0, 10), two.fold(0, 20))
        await asyncio.gather(one.table.drain(), two.table.drain())

        assert (one.counted, two.counted) == (10, 20)
