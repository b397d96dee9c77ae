"""Backup, restore and more partitions by the command line: the tables are kept, and counting goes on."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from app.kafka import topics
from app.kafka.admin import admin_client, check_topics
from app.kafka.backup import KEPT
from producers.publisher import Publisher
from producers.routing import Routed, route_event
from tests.integration.agents.workers import own_broker
from tests.integration.local.platform_run import ROOT, Platform

pytestmark = pytest.mark.timeout(240)

SYMBOLS = [f"S{number:02d}" for number in range(24)]
TEN_ET_MS = 1_795_186_800_000


async def command(platform: Platform, *arguments: str, code: int = 0) -> str:
    """Run `tapereader …` as a process; what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", *arguments, cwd=ROOT, env=platform.environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == code, said.decode()
    return " ".join(said.decode().split())


def events(start: int, rounds: int) -> list[bytes]:
    """A trade, an aggregate and a quote of each symbol in each round; `start` counts on."""
    found: list[dict[str, Any]] = []
    for number in range(start, start + rounds):
        at_ms = TEN_ET_MS + number * 1000
        for symbol in SYMBOLS:
            found += [
                {"ev": "T", "sym": symbol, "i": str(number), "p": 10 + number / 100, "s": 100, "t": at_ms, "q": number},
                {"ev": "A", "sym": symbol, "v": 100, "av": 100 * (number + 1), "op": 10.0, "vw": 10.0, "o": 10.0,
                 "c": 10 + number / 100, "h": 10 + number / 100, "l": 9.5, "a": 10.0, "z": 50,
                 "s": at_ms, "e": at_ms + 1000},
                {"ev": "Q", "sym": symbol, "bp": 9.9, "bs": 1, "ap": 10.1, "as": 2, "t": at_ms, "q": number},
            ]  # fmt: skip
    return [json.dumps(event).encode() for event in found]


async def publish(platform: Platform, start: int, rounds: int) -> None:
    """Append such events."""
    routed = [route_event(event) for event in events(start, rounds)]
    async with Publisher(platform.environment["KAFKA_BOOTSTRAP_SERVERS"]) as publisher:
        await publisher.publish([(event, at) for at, event in enumerate(routed, 1) if isinstance(event, Routed)])


async def waiting(platform: Platform) -> int:
    """Raw events that the group has not committed."""
    async with admin_client(platform.environment["KAFKA_BOOTSTRAP_SERVERS"]) as admin:
        committed = await admin.list_consumer_group_offsets("tapereader")
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.environment["KAFKA_BOOTSTRAP_SERVERS"])
    await consumer.start()
    try:
        count = int(platform.environment["TAPEREADER_PARTITIONS"])
        raw = (topics.AGGREGATES, topics.TRADES, topics.QUOTES)
        ends = await consumer.end_offsets([TopicPartition(spec.name, part) for spec in raw for part in range(count)])
    finally:
        await consumer.stop()
    return sum(end - (committed[part].offset if part in committed else 0) for part, end in ends.items())


async def folded(platform: Platform, name: str) -> None:
    """Until a worker has folded and committed everything."""
    await platform.ready(name)
    async with asyncio.timeout(60):
        while await waiting(platform):
            await asyncio.sleep(0.2)


async def tables(platform: Platform) -> dict[str, dict[str, bytes]]:
    """The kept tables as any reader finds them."""
    found: dict[str, dict[str, bytes]] = {spec.name: {} for spec in KEPT}
    servers = platform.environment["KAFKA_BOOTSTRAP_SERVERS"]
    count = int(platform.environment["TAPEREADER_PARTITIONS"])
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        parts = [TopicPartition(spec.name, part) for spec in KEPT for part in range(count)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await consumer.end_offsets(parts)
        async with asyncio.timeout(30):
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                for part, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        if record.value is None:
                            found[part.topic].pop(record.key.decode(), None)
                        else:
                            found[part.topic][record.key.decode()] = record.value
    finally:
        await consumer.stop()
    return found


def volumes(found: dict[str, dict[str, bytes]]) -> dict[str, float]:
    """Accumulated volume of each symbol's row."""
    rows = found[topics.MARKET_QUOTES.name]
    return {symbol: json.loads(row)["accumulated_volume"] for symbol, row in rows.items()}


@pytest.mark.verify
async def test_more_partitions_keep_every_row_and_the_workers_count_on(platform: Platform, tmp_path: Path) -> None:
    bootstrap, file = platform.environment["KAFKA_BOOTSTRAP_SERVERS"], tmp_path / "tables.ndjson.zst"
    await command(platform, "topics", "create")
    await publish(platform, 0, 30)
    platform.start("before", "worker")
    await folded(platform, "before")

    # A worker that still runs is in the way, and nothing has happened.
    assert "still run; stop them first" in await command(
        platform, "topics", "repartition", str(file), "--to", "7", code=1
    )
    platform.stop()
    before = await tables(platform)
    assert volumes(before) == dict.fromkeys(SYMBOLS, 3000.0)

    await publish(platform, 30, 1)
    assert "events are not processed yet" in await command(
        platform, "topics", "repartition", str(file), "--to", "7", code=1
    )
    platform.start("again", "worker")
    await folded(platform, "again")
    platform.stop()
    before = await tables(platform)

    assert "rows in 7 partitions" in await command(platform, "topics", "repartition", str(file), "--to", "7")
    await check_topics(bootstrap, topics.ALL_TOPICS, 7)
    # Who has not heard of it is told in one sentence.
    assert "set TAPEREADER_PARTITIONS=7" in await command(platform, "topics", "check", code=1)

    platform.start("unaware", "worker")
    assert await asyncio.to_thread(platform.processes["unaware"].wait, 60) == 1
    (said,) = [line for line in platform.log("unaware").splitlines() if "worker_failed" in line]
    assert "expected 4 partitions, was 7; set TAPEREADER_PARTITIONS=7" in json.loads(said)["error"]
    platform.environment["TAPEREADER_PARTITIONS"] = "7"
    assert await tables(platform) == before
    await publish(platform, 31, 20)
    platform.start("after", "worker")
    await folded(platform, "after")
    platform.stop()
    after = await tables(platform)
    assert volumes(after) == dict.fromkeys(SYMBOLS, 5100.0)
    assert after[topics.TRADE_TAPE.name].keys() >= before[topics.TRADE_TAPE.name].keys()


@pytest.mark.verify
async def test_a_backup_is_restored_into_an_empty_kafka_and_nowhere_else(platform: Platform, tmp_path: Path) -> None:
    file = tmp_path / "tables.ndjson.zst"
    await command(platform, "topics", "create")
    await publish(platform, 0, 10)
    platform.start("worker", "worker")
    await folded(platform, "worker")
    assert f"{len(SYMBOLS)}" in await command(platform, "topics", "backup", str(file))
    platform.stop()
    before = await tables(platform)
    assert "restored into empty tables only" in await command(platform, "topics", "restore", str(file), code=1)

    with own_broker(tmp_path / "other") as other:
        platform.environment["KAFKA_BOOTSTRAP_SERVERS"] = other
        await command(platform, "topics", "restore", str(file))
        assert await tables(platform) == before
        partitioner = DefaultPartitioner()
        places = {partitioner(symbol.encode(), [0, 1, 2, 3], [0, 1, 2, 3]) for symbol in SYMBOLS}
        platform.start("restored", "worker")
        await platform.ready("restored")
        health = (await platform.get("restored", "/healthz")).json()
        assert set(health["partitions"]["quotes"]) >= places
        await publish(platform, 10, 5)
        await folded(platform, "restored")
        platform.stop()
        assert volumes(await tables(platform)) == dict.fromkeys(SYMBOLS, 1500.0)


@pytest.mark.verify
async def test_a_broken_file_is_named_with_its_line(platform: Platform, tmp_path: Path) -> None:
    file = tmp_path / "broken.ndjson.zst"
    with zstandard.open(file, "wb") as out:
        out.write(b'{"topic":"market.quotes","key":"A","value":"{}"}\nnot json\n')
    assert "line 2: not a line of a backup" in await command(platform, "topics", "restore", str(file), code=1)


def test_every_table_of_a_symbol_is_kept_and_only_those() -> None:
    names = {spec.name for spec in KEPT}
    assert {"market.quotes", "market.reference", "market.nbbo", "market.halts", "market.daily-ranges"} <= names
    assert "tapereader.trade-tape" in names
    assert not names & {topics.LEADERBOARDS.name, topics.TRADE_WINDOWS.name}


@pytest.mark.verify
async def test_a_table_that_no_worker_can_read_ends_a_backup_with_one_sentence(
    platform: Platform, tmp_path: Path
) -> None:
    await command(platform, "topics", "create")
    producer = AIOKafkaProducer(bootstrap_servers=platform.environment["KAFKA_BOOTSTRAP_SERVERS"])
    await producer.start()
    try:
        await producer.send_and_wait(topics.MARKET_QUOTES.name, b"{}", b"AAPL", headers=[("covers", b"no covers")])
    finally:
        await producer.stop()
    said = await command(platform, "topics", "backup", str(tmp_path / "tables.ndjson.zst"), code=1)
    assert f"the table cannot be backed up: {topics.MARKET_QUOTES.name}[" in said
    assert "Traceback" not in said
