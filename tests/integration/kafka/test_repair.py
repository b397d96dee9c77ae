"""Rows that should not be in the tables are found and removed, and counting goes on as if they had never been."""

import json
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import ProducerFenced

from app.kafka import topics
from app.kafka.backup import KEPT
from app.stream.internals import start_fenced
from app.stream.producing import stop_producer
from tests.consistency.harness import read_all
from tests.integration.kafka.test_backup import SYMBOLS, TEN_ET_MS, command, folded, publish, tables, volumes
from tests.integration.local.platform_run import Platform

pytestmark = [pytest.mark.verify, pytest.mark.timeout(300)]

#: 2036: rows of a time that was taken for good before there were bounds.
LATE_MS = 2_093_000_000_000
TAPE = f"{topics.TRADE_TAPE.name}"


async def _poison(bootstrap: str, found: dict[str, dict[str, bytes]]) -> dict[str, set[str]]:
    """Write wrong rows over rightful ones, as an earlier version did; the keys of those that are to go."""
    quotes, nbbo = found[topics.MARKET_QUOTES.name], found[topics.NBBO.name]
    wrong: list[tuple[str, str, bytes]] = [
        (topics.MARKET_QUOTES.name, "S01", json.dumps(json.loads(quotes["S01"]) | {"end_timestamp": LATE_MS}).encode()),
        (topics.MARKET_QUOTES.name, "S02", json.dumps(json.loads(quotes["S02"]) | {"day": "2036-04-28"}).encode()),
        (topics.NBBO.name, "S01", json.dumps(json.loads(nbbo["S01"]) | {"timestamp": LATE_MS * 10**6}).encode()),
        # A worker ends at rows that it cannot read.
        (topics.NBBO.name, "S03", b'{"symbol":"S03"}'),
        (topics.DAILY_RANGES.name, "S04", b"{"),
        (TAPE, "S05/0", b"[0,%d,[]]" % LATE_MS),
    ]
    partitions = {record.key: record.partition for topic in found for record in await read_all(bootstrap, topic)}
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for topic, key, value in wrong:
            await producer.send_and_wait(topic, value, key.encode(), partition=partitions[key.encode()])
    finally:
        await producer.stop()
    gone: dict[str, set[str]] = {}
    for topic, key, _ in wrong:
        gone.setdefault(topic, set()).add(key)
    gone[TAPE] = {key for key in found[TAPE] if key.startswith("S05/")}
    return gone


async def _ends(bootstrap: str) -> int:
    return sum([len(await read_all(bootstrap, spec.name)) for spec in KEPT])


async def test_rows_that_cannot_be_are_shown_then_removed_and_nothing_is_counted_twice(platform: Platform) -> None:
    bootstrap = platform.environment["KAFKA_BOOTSTRAP_SERVERS"]
    await command(platform, "topics", "create")
    await publish(platform, 0, 20)
    platform.start("before", "worker")
    await folded(platform, "before")
    assert "no row is to be removed" in await command(platform, "topics", "repair")
    assert "still run; stop them first" in await command(platform, "topics", "repair", "--yes", code=1)
    platform.stop()

    before = await tables(platform)
    gone = await _poison(bootstrap, before)
    records = await _ends(bootstrap)
    said = await command(platform, "topics", "repair", "--symbol", "S06", "--symbol", "s07")
    for topic, keys in gone.items():
        for key in keys:
            assert key in said, (topic, key)
    for reason in ("end_timestamp is 2036", "day is 2036", "it cannot be read", "last trade is 2036", "was named"):
        assert reason in said
    assert "S07" not in said, "a symbol is its exact letters"
    assert "stop the workers, then say --yes" in said
    assert await _ends(bootstrap) == records, "looking changes nothing"

    said = await command(platform, "topics", "repair", "--symbol", "S06", "--yes")
    assert "removed" in said
    after = await tables(platform)
    for topic, rows in before.items():
        spec = next(spec for spec in topics.ALL_TOPICS if spec.name == topic)
        expected = {
            key: value
            for key, value in rows.items()
            if key not in gone.get(topic, set()) and spec.symbol_of(key.encode()) != b"S06"
        }
        assert after[topic] == expected, topic
    assert "no row is to be removed" in await command(platform, "topics", "repair")

    # Workers go on where they were: each event counts once, and removed rows begin anew with the next one.
    await publish(platform, 20, 5)
    platform.start("after", "worker")
    await folded(platform, "after")
    platform.stop()
    found = await tables(platform)
    assert volumes(found) == dict.fromkeys(SYMBOLS, 2500.0)
    assert not await read_all(bootstrap, topics.DEAD_LETTERS.name)
    trades = _trades(found)
    for symbol in SYMBOLS:
        first = 20 if symbol in ("S05", "S06") else 0
        assert trades[symbol] == list(range(first, 25)), symbol


def _trades(found: dict[str, dict[str, bytes]]) -> dict[str, list[Any]]:
    """The times of each symbol's trades on the tape, in rounds of the events."""
    trades: dict[str, list[Any]] = {}
    for key, value in found[TAPE].items():
        symbol = key.rpartition("/")[0]
        trades.setdefault(symbol, []).extend(json.loads(value)[2])
    return {symbol: sorted(_round(trade) for trade in of_symbol) for symbol, of_symbol in trades.items()}


def _round(trade: list[Any]) -> int:
    (found,) = {(each - TEN_ET_MS) // 1000 for each in trade if isinstance(each, int) and each >= TEN_ET_MS}
    return found


async def test_who_owned_a_repaired_partition_is_refused_from_then_on(platform: Platform) -> None:
    bootstrap = platform.environment["KAFKA_BOOTSTRAP_SERVERS"]
    await command(platform, "topics", "create")
    await publish(platform, 0, 3)
    platform.start("before", "worker")
    await folded(platform, "before")
    platform.stop()
    zombies = [
        AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=f"tapereader/{partition}")
        for partition in range(int(platform.environment["TAPEREADER_PARTITIONS"]))
    ]
    try:
        for zombie in zombies:
            await start_fenced(zombie)
        before = await tables(platform)
        await command(platform, "topics", "repair", *(part for each in SYMBOLS for part in ("--symbol", each)), "--yes")
        for partition, zombie in enumerate(zombies):
            with pytest.raises(ProducerFenced):
                await zombie.send_and_wait(topics.MARKET_QUOTES.name, b"{}", b"S00", partition=partition)
        after = await tables(platform)
        assert any(before.values())
        assert not any(after.values())
    finally:
        for zombie in zombies:
            await stop_producer(zombie)
