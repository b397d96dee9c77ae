"""Whatever three brokers suffer: the producer's events are in Kafka once, workers go on, their tables are exact."""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.market.calendar import TradingCalendar
from app.market.events import LimitUpLimitDown, Quote
from app.market.halts import HaltCodes, HaltState, fold_halt
from app.market.nbbo import Nbbo, fold_nbbo
from app.market.trade_tape import TapePartition, WindowTrade
from tests.consistency.harness import read_all
from tests.eventually import eventually
from tests.integration.agents.workers import Workers, chunks_of, raw_table, table
from tests.integration.producers.live_rig import PARTITIONS, Rig, in_order_and_once, live_rig, sent_events
from tests.kafka_cluster import NODES, KafkaCluster, kafka_cluster, settled
from tests.tape_trades import trades_of, trades_of_chunks

pytestmark = [pytest.mark.verify, pytest.mark.timeout(900)]

#: Longer than the controller takes to elect others: a session of 9 s.
AWAY_S = 12.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[KafkaCluster]:
    with kafka_cluster(tmp_path / "cluster") as found:
        yield found


async def _kill(cluster: KafkaCluster, number: int) -> None:
    cluster.send(number, signal.SIGKILL)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(cluster.start_again, number)


async def leader_killed(cluster: KafkaCluster, workers: Workers) -> None:
    """The node that leads most partitions."""
    await _kill(cluster, await cluster.leader_of_most())


async def coordinator_killed(cluster: KafkaCluster, workers: Workers) -> None:
    """The node that the workers' group depends on."""
    await _kill(cluster, await cluster.coordinator("tapereader"))


async def leader_paused(cluster: KafkaCluster, workers: Workers) -> None:
    """It keeps its connections, and is not heard of."""
    number = await cluster.leader_of_most()
    cluster.send(number, signal.SIGSTOP)
    await asyncio.sleep(20.0)
    cluster.send(number, signal.SIGCONT)
    if not cluster.nodes[number].process.alive:
        await asyncio.to_thread(cluster.start_again, number)


async def restarted_in_turn(cluster: KafkaCluster, workers: Workers) -> None:
    """As an upgrade does: the next one when all replicas are in sync."""
    for number in cluster.nodes:
        await asyncio.to_thread(cluster.restart, number)
        await settled(cluster)


async def leader_and_a_worker_killed(cluster: KafkaCluster, workers: Workers) -> None:
    """Partitions move while brokers are away."""
    number = await cluster.leader_of_most()
    workers.kill(0)
    workers.start()
    await _kill(cluster, number)


FAULTS = (leader_killed, coordinator_killed, leader_paused, restarted_in_turn, leader_and_a_worker_killed)


async def test_whatever_three_brokers_suffer_events_count_once(
    cluster: KafkaCluster, tmp_path: Path, say: Callable[[str], None]
) -> None:
    """One market over all faults: nothing is lost or twice, no worker ends, tables are those of the raw topics."""
    bootstrap = cluster.bootstrap_servers
    await ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS, NODES, 2)
    workers = Workers(bootstrap, tmp_path, session_timeout_ms="6000", source="simulator")
    try:
        workers.start()
        workers.start()
        async with live_rig(bootstrap, silence_timeout_s=120, producer_buffer_events=2_000_000) as rig:
            await rig.flowing(2000)
            await eventually(lambda: _folded(bootstrap), timeout_s=90, interval_s=1)
            for fault in FAULTS:
                await _suffer(cluster, workers, rig, fault, say)
            await rig.settled(lambda: sent_events(rig.producer.publisher) == rig.producer.received == _sent(rig), 120)
            await _events_are_there_once(rig)
            assert rig.producer.connections == 1
        await _tables_are_exact(bootstrap, say)
        assert workers.reap() == 0
        assert len(workers.running) == 2
    finally:
        workers.stop()


async def _suffer(
    cluster: KafkaCluster,
    workers: Workers,
    rig: Rig,
    fault: Callable[[KafkaCluster, Workers], Awaitable[None]],
    say: Callable[[str], None],
) -> None:
    gaps = [
        asyncio.create_task(_longest_gap(lambda: rig.producer.publisher.sent.total())),
        asyncio.create_task(_longest_gap(lambda: _size(cluster))),
    ]
    before = list(workers.running)
    await fault(cluster, workers)
    await settled(cluster)
    await rig.flowing(2000)
    for gap in gaps:
        gap.cancel()
    producer_s, workers_s = [await gap for gap in gaps]
    say(f"{fault.__name__}: longest gap of the producer {producer_s:.1f} s, of the table of quotes {workers_s:.1f} s")
    ended = [process.returncode for process in workers.running if process in before and process.poll() is not None]
    assert not ended, f"a worker has ended by itself during {fault.__name__}"
    for _ in range(workers.reap()):
        say("a worker that was started while a broker was away has ended; it is started again, as `up` does")
        workers.start()


def _size(cluster: KafkaCluster) -> int:
    """Bytes of the logs of the best bids and offers on all nodes."""
    return sum(
        log.stat().st_size
        for node in cluster.nodes.values()
        for log in (node.data_dir / "data").glob(f"{topics.NBBO.name}-*/*.log")
    )


async def _longest_gap(counted: Callable[[], int]) -> float:
    """The longest time (s) in which a count did not change, until cancelled."""
    longest_s, seen, since_s = 0.0, -1, time.monotonic()
    try:
        while True:
            now_s, found = time.monotonic(), counted()
            if found != seen:
                seen, since_s = found, now_s
            longest_s = max(longest_s, now_s - since_s)
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        return longest_s


def _sent(rig: Rig) -> Any:
    return +rig.simulator.feed.sent


async def _folded(bootstrap: str) -> bool:
    return bool(await raw_table(bootstrap, topics.NBBO)) and bool(await raw_table(bootstrap, topics.TRADE_TAPE))


async def _events_are_there_once(rig: Rig) -> None:
    """The simulator's counts are the topics', and no sequence number is missing or twice."""
    written = await rig.written()
    counts = {name: written[name] for name in rig.events_sent()}
    assert counts == dict(rig.events_sent())
    assert in_order_and_once(await rig.records())


async def _tables_are_exact(bootstrap: str, say: Callable[[str], None]) -> None:
    """Each table is what a plain fold of the raw topics gives."""
    nbbo, halts = await _quotes_by_hand(bootstrap), await _halts_by_hand(bootstrap)
    tapes = await _tapes_by_hand(bootstrap)
    state: dict[str, Any] = {}

    async def exact() -> bool:
        chunks = chunks_of(await raw_table(bootstrap, topics.TRADE_TAPE))
        found = {
            "tapes": {symbol: trades_of_chunks(symbol, slots) for symbol, slots in chunks.items()},
            "nbbo": await table(bootstrap, topics.NBBO),
            "halts": await table(bootstrap, topics.MARKET_HALTS),
        }
        wanted: dict[str, Any] = {"tapes": tapes, "nbbo": nbbo, "halts": halts}
        state["differ"] = {
            name: sorted(key for key in rows.keys() | wanted[name].keys() if rows.get(key) != wanted[name].get(key))
            for name, rows in found.items()
        }
        return not any(state["differ"].values())

    try:
        await eventually(exact, timeout_s=90, interval_s=1)
    except AssertionError:
        pytest.fail(f"rows that differ: {state['differ']}")
    say(f"exact: {len(tapes)} tapes, {len(nbbo)} best bids and offers, {len(halts)} price bands")


async def _quotes_by_hand(bootstrap: str) -> dict[str, Any]:
    rows: dict[str, Nbbo] = {}
    for record in await read_all(bootstrap, topics.QUOTES.name):
        quote = msgspec.json.decode(record.value, type=Quote)
        received = dict(record.headers).get(topics.RECEIVED_NS_HEADER)
        symbol = quote.symbol or ""
        rows[symbol] = fold_nbbo(rows.get(symbol), quote, int(received) if received else None) or rows[symbol]
    return {symbol: json.loads(msgspec.json.encode(row)) for symbol, row in rows.items()}


async def _halts_by_hand(bootstrap: str) -> dict[str, Any]:
    rows: dict[str, HaltState] = {}
    codes, calendar = HaltCodes(), TradingCalendar.new_york()
    for record in await read_all(bootstrap, topics.HALTS.name):
        event = msgspec.json.decode(record.value, type=LimitUpLimitDown)
        symbol = event.symbol or ""
        rows[symbol] = fold_halt(rows.get(symbol), event, codes, calendar) or rows[symbol]
    return {symbol: json.loads(msgspec.json.encode(row)) for symbol, row in rows.items()}


async def _tapes_by_hand(bootstrap: str) -> dict[str, Any]:
    partitions = [TapePartition() for _ in range(PARTITIONS)]
    for record in await read_all(bootstrap, topics.TRADES.name):
        partitions[record.partition].fold([msgspec.json.decode(record.value, type=WindowTrade)])
    return {
        symbol: trades_of(part.windows, symbol) for part in partitions for symbol in part.windows.symbols()
    }  # fmt: skip
