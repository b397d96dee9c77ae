"""The engine on a real broker: what it does with what it does not like, and how soon it is back."""

import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import CommitFailedError

from app.stream.letters import DeadLetter
from tests.consistency.counting_app import Count, add
from tests.consistency.harness import PARTITIONS, Tape, Workers, read_all
from tests.eventually import eventually

NOTHING = Count(0, 0, 0)
Send = Callable[[str | None, bytes | None, int], Awaitable[int]]


@pytest.fixture
async def tape(broker_url: str, unique: str) -> Tape:
    found = Tape(broker_url, f"engine-{unique}", seed=1)
    await found.create_topics()
    return found


@pytest.fixture
async def workers(tape: Tape, broker_url: str, tmp_path: Path) -> AsyncIterator[Workers]:
    found = Workers(broker_url, tape.name, tmp_path)
    yield found
    found.stop()


@pytest.fixture
async def send(tape: Tape, broker_url: str) -> AsyncIterator[Send]:
    producer = AIOKafkaProducer(bootstrap_servers=broker_url, acks="all")
    await producer.start()

    async def one(key: str | None, value: bytes | None, partition: int) -> int:
        encoded = None if key is None else key.encode()
        sent = await producer.send_and_wait(f"{tape.name}.source", key=encoded, value=value, partition=partition)
        return int(sent.offset)

    yield one
    await producer.stop()


async def letters(tape: Tape) -> list[DeadLetter]:
    return [
        msgspec.json.decode(found.value, type=DeadLetter)
        for found in await read_all(tape.bootstrap, f"{tape.name}.dead")
    ]


async def test_a_record_that_cannot_be_folded_goes_to_the_dead_letters_alone(
    tape: Tape, workers: Workers, send: Send
) -> None:
    """Its neighbours in the batch count; the letter says where it stood and why."""
    await send("a", b"1", 0)
    at = await send("a", b"bad", 0)
    huge = await send("b", b"huge", 0)
    await send("a", b"2", 0)
    await send("a", None, 0)
    await send(None, b"3", 0)
    await send("c", b"4", 0)
    await send("c", b"delete", 0)
    workers.start()
    expected = {"a": add(add(add(None, 1), 2), 0), "": add(None, 3)}

    async def is_expected() -> bool:
        return await tape.table() == expected

    await eventually(is_expected, timeout_s=20)
    found = {(letter.partition, letter.offset): letter for letter in await letters(tape)}

    assert set(found) == {(0, at), (0, huge)}
    assert found[0, at].topic == f"{tape.name}.source"
    assert found[0, at].value == "bad"
    assert found[0, at].reason.startswith("ValueError: invalid literal")
    assert found[0, huge].reason.startswith("OversizedError")


@asynccontextmanager
async def member(tape: Tape) -> AsyncIterator[tuple[AIOKafkaConsumer, list[TopicPartition]]]:
    """A consumer that asks and commits in the worker's group, and the source's partitions."""
    parts = [TopicPartition(f"{tape.name}.source", partition) for partition in range(PARTITIONS)]
    consumer = AIOKafkaConsumer(bootstrap_servers=tape.bootstrap, group_id=tape.name, enable_auto_commit=False)
    consumer.assign(parts)
    await consumer.start()
    try:
        yield consumer, parts
    finally:
        await consumer.stop()


async def commits_to_the_end(tape: Tape) -> None:
    """Wait until the group's committed offsets are the ends of the source."""
    async with member(tape) as (consumer, parts):

        async def committed() -> bool:
            ends = await consumer.end_offsets(parts)
            return bool({part: await consumer.committed(part) for part in parts} == ends)

        await eventually(committed, timeout_s=20)


async def commit(tape: Tape, offset: int | None = None) -> None:
    """Set the committed offset of each partition (None: its end), as soon as the group has no member left."""
    async with member(tape) as (consumer, parts):
        offsets = dict.fromkeys(parts, offset) if offset is not None else await consumer.end_offsets(parts)

        async def done() -> bool:
            try:
                await consumer.commit(offsets)
            except CommitFailedError:
                return False
            return True

        await eventually(done, timeout_s=20)


async def test_the_committed_offset_reaches_the_end_of_an_idle_partition(tape: Tape, workers: Workers) -> None:
    """Within a commit interval of the last batch, although nothing follows it."""
    await tape.produce(2000)
    workers.start()
    await commits_to_the_end(tape)

    assert await tape.table() == tape.expected


@pytest.mark.verify
async def test_what_another_worker_counted_and_did_not_commit_is_committed(tape: Tape, workers: Workers) -> None:
    """A worker resumes where the tables' state ends, behind the commit, and nothing comes in after that."""
    await tape.produce(2000)
    workers.start()
    await commits_to_the_end(tape)
    workers.stop()
    await commit(tape, 1)
    workers.start()
    await commits_to_the_end(tape)

    assert await tape.table() == tape.expected


@pytest.mark.verify
async def test_what_was_committed_and_is_in_no_table_holds_no_commit_up(
    tape: Tape, workers: Workers, send: Send
) -> None:
    """A worker resumes where its tables end, before the committed offset; what it reads there changes no row."""
    await tape.produce(500)
    workers.start()
    await commits_to_the_end(tape)
    workers.stop()
    await send("never counted", b"skip", 0)
    for partition in range(1, PARTITIONS):
        await send("seen", b"1", partition)
    await commit(tape)
    workers.start()

    async def seen() -> int:
        return (await tape.table()).get("seen", NOTHING).count

    async def counted() -> bool:
        return {key: row for key, row in (await tape.table()).items() if key != "seen"} == tape.expected

    # They are read in one poll with the record that is skipped.
    await eventually(seen, timeout_s=30)
    await tape.produce(500)
    await eventually(counted, timeout_s=30)
    await commits_to_the_end(tape)


@pytest.mark.verify
@pytest.mark.parametrize(
    ("how", "limit_s"),
    [pytest.param(signal.SIGTERM, 3.0, id="sigterm"), pytest.param(signal.SIGKILL, 15.0, id="kill-9")],
)
async def test_a_failover_is_processing_again_in_time(
    tape: Tape, workers: Workers, how: signal.Signals, limit_s: float
) -> None:
    """Another worker takes over within the limit, with every record counted once."""
    workers.start()
    await tape.produce(500)

    async def all_counted() -> bool:
        return await tape.counted() == tape.produced

    await eventually(all_counted, timeout_s=20)
    workers.start()
    await eventually(lambda: b"Worker ready" in (workers.logs / "worker-2.log").read_bytes(), timeout_s=20)
    await tape.produce(500)
    await eventually(all_counted, timeout_s=20)
    ended_s = time.monotonic()
    workers.end(0, how)
    await tape.produce(200)
    await eventually(all_counted, timeout_s=30)
    took_s = time.monotonic() - ended_s

    assert await tape.table() == tape.expected
    assert took_s < limit_s


@pytest.mark.verify
async def test_a_worker_that_stands_still_ends_with_a_clear_error(tape: Tape, workers: Workers, send: Send) -> None:
    """Something waits and nothing moves: a process that is up is not one that works."""
    await send("a", b"1", 0)
    workers.start()

    async def first_counted() -> bool:
        return await tape.table() == {"a": add(None, 1)}

    await eventually(first_counted, timeout_s=20)
    await send("a", b"stall", 0)
    await eventually(lambda: workers.running[0].poll() is not None, timeout_s=30)

    assert workers.running[0].returncode not in (0, None)
    reason = b"1 records are waiting at 1, table counts at 1: nothing moved for 3 s"
    assert reason in (workers.logs / "worker-1.log").read_bytes()


@pytest.mark.verify
async def test_records_that_were_passed_over_end_the_worker_and_are_read_again(
    tape: Tape, workers: Workers, send: Send, tmp_path: Path
) -> None:
    """Whatever fault lets a batch be lost on its way: the next one does not go on where the state ends."""

    async def counted(*values: int) -> None:
        expected = None
        for value in values:
            expected = add(expected, value)

        async def is_so() -> bool:
            return await tape.table() == {"a": expected}

        await eventually(is_so, timeout_s=30)

    await send("a", b"1", 0)
    workers.start()
    await counted(1)
    met = tmp_path / "met"
    await send("a", b"pass over until %s" % str(met).encode(), 0)
    await eventually(met.exists, timeout_s=20)
    await send("a", b"2", 0)
    await eventually(lambda: workers.running[0].poll() is not None, timeout_s=30)
    assert workers.running[0].returncode not in (0, None)
    assert b"[0] has the records 1 to 1, and they were passed over" in (workers.logs / "worker-1.log").read_bytes()

    workers.start()
    await counted(1, 2)
    assert [letter.offset for letter in await letters(tape)] == [1], "read at last, and not a number"


async def test_the_rows_of_a_key_are_values_of_the_tables_own_schema(tape: Tape, workers: Workers, send: Send) -> None:
    """A public topic holds rows and nothing else: each value is the row's JSON."""
    await send("a", b"7", 1)
    workers.start()

    async def found() -> list[object]:
        records = await read_all(tape.bootstrap, f"{tape.name}.counts")
        # Claims are tombstones of a key that no row has.
        return [record for record in records if record.value is not None]

    records = await eventually(found, timeout_s=20)

    assert [(r.key, r.partition) for r in records] == [(b"a", 1)]  # type: ignore[attr-defined]
    assert msgspec.json.decode(records[0].value, type=Count) == add(None, 7)  # type: ignore[attr-defined]
