"""Workers that are killed at random moments leave the market's tables as a calm run would have left them."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.market.trade_tape import TapePartition
from app.market.trade_windows import TradeWindows
from tests.consistency.harness import read_all
from tests.consistency.market import RandomMarket
from tests.eventually import eventually
from tests.integration.agents.workers import PARTITIONS, Workers, chunks_of, own_broker, raw_table, table
from tests.tape_trades import trades_of, trades_of_chunks

ROUNDS = int(os.environ.get("DIFFERENTIAL_ROUNDS", "5"))
EVENTS_PER_ROUND = 4000


@pytest.mark.long
@pytest.mark.timeout(120 + 30 * ROUNDS)
async def test_killed_workers_leave_the_tables_of_a_calm_run(tmp_path: Path) -> None:
    """Windows, ranges, halts, best bid and offer count each event once; no alert is lost."""
    with own_broker(tmp_path / "kafka") as bootstrap:
        await ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS)
        market = RandomMarket(bootstrap, PARTITIONS, seed=11, total=EVENTS_PER_ROUND * ROUNDS)
        workers = Workers(bootstrap, tmp_path, halting_codes='{"17": "test"}', resuming_codes="18")
        workers.start()
        workers.start()
        try:
            producing = asyncio.create_task(market.produce(every_s=0.4))
            await _kill(workers, market, ROUNDS)
            await producing
            await _compare(bootstrap, market, workers)
        finally:
            workers.stop()


async def _kill(workers: Workers, market: RandomMarket, rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.sleep(market.random.uniform(3.0, 8.0))
        workers.reap()
        if workers.running:
            workers.kill(market.random.randrange(len(workers.running)))
        while len(workers.running) < 2:
            workers.start()


async def _compare(bootstrap: str, market: RandomMarket, workers: Workers) -> None:
    expected_tapes = {symbol: trades_of(windows, symbol) for windows in market.windows for symbol in windows.symbols()}
    expected_paces = {symbol: pace for windows in market.windows for symbol, pace in _paces(windows).items()}
    state: dict[str, Any] = {}

    async def tapes_are_right() -> bool:
        _alive(workers)
        rows = await raw_table(bootstrap, topics.TRADE_TAPE)
        state["tapes"] = {symbol: trades_of_chunks(symbol, found) for symbol, found in chunks_of(rows).items()}
        partition = TapePartition()
        for key, value in rows.items():
            partition.load(key, value)
        partition.finish_loading()
        return bool(state["tapes"] == expected_tapes and _paces(partition.windows) == expected_paces)

    async def others_are_right() -> bool:
        _alive(workers)
        state["differences"] = {}
        for spec, rows in (
            (topics.NBBO, market.nbbo),
            (topics.MARKET_HALTS, market.halts),
            (topics.DAILY_RANGES, market.ranges),
        ):
            found = await table(bootstrap, spec)
            for row in found.values():
                row.pop("raised", None)
            wanted = {symbol: json.loads(msgspec.json.encode(row)) for symbol, row in rows.items()}
            for row in wanted.values():
                row.pop("raised", None)
            keys = found.keys() | wanted.keys()
            differ = {key: (found.get(key), wanted.get(key)) for key in keys if found.get(key) != wanted.get(key)}
            if differ:
                state["differences"][spec.name] = differ
        return not state["differences"]

    async def no_alert_is_lost() -> bool:
        alerts = [json.loads(record.value) for record in await read_all(bootstrap, topics.ALERTS.name)]
        state["alerts"] = {alert["key"] for alert in alerts if not alert["kind"].startswith(("volume", "gap"))}
        return bool(state["alerts"] >= market.alert_keys)

    await eventually(tapes_are_right, timeout_s=90, interval_s=1)
    try:
        await eventually(others_are_right, timeout_s=60, interval_s=1)
    except AssertionError:
        pytest.fail(f"found and expected: {state['differences']}")
    await eventually(no_alert_is_lost, timeout_s=30, interval_s=1)
    assert state["alerts"] == market.alert_keys

    async def thresholds_are_raised() -> bool:
        _alive(workers)
        return await _thresholds(bootstrap, market)

    await eventually(thresholds_are_raised, timeout_s=60, interval_s=1)
    letters = [json.loads(record.value) for record in await read_all(bootstrap, topics.DEAD_LETTERS.name)]
    assert {(letter["topic"], letter["value"]) for letter in letters} == market.broken


def _alive(workers: Workers) -> None:
    """Start again what ended by itself, as `up` does."""
    while workers.reap() or not workers.running:
        workers.start()


def _paces(windows: TradeWindows) -> dict[str, tuple[float | None, float | None]]:
    """What a fold has to carry beyond the trades that it keeps."""
    details = {symbol: windows.detail(symbol) for symbol in windows.symbols()}
    return {
        symbol: (detail.trades_per_minute, detail.usual_trades_per_minute)
        for symbol, detail in details.items()
        if detail is not None
    }


async def _thresholds(bootstrap: str, market: RandomMarket) -> bool:
    """Whether each symbol's thresholds were raised, and the alerts of all of them stand in the topic."""
    quotes, ranges = await table(bootstrap, topics.MARKET_QUOTES), await table(bootstrap, topics.DAILY_RANGES)
    expected = {
        symbol: sorted(
            f"{symbol}/2013-10-09/volume_spike/{limit:g}"
            for limit in market.rules.volume_multiples
            if quotes[symbol]["relative_volume"] >= limit
        )
        for symbol in ranges
    }
    alerts = [json.loads(record.value) for record in await read_all(bootstrap, topics.ALERTS.name)]
    spikes = {alert["key"] for alert in alerts if alert["kind"] == "volume_spike"}
    # Of several that are reached at once only the highest is announced.
    highest = {max(keys, key=lambda key: float(key.rpartition("/")[2])) for keys in expected.values() if keys}
    return {symbol: row["raised"] for symbol, row in ranges.items()} == expected and highest <= spikes
