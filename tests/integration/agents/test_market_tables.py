"""The real day through Kafka and a worker: windows, ranges, alerts, best bid and offer."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.kafka import topics
from app.kafka.admin import ensure_topics
from app.market.alerts import AlertRules
from app.market.calendar import TradingCalendar
from app.market.daily_alerts import RangeRow, fold_day
from app.market.events import Aggregate, Quote, Trade
from app.market.nbbo import Nbbo, fold_nbbo
from app.market.trade_windows import TradeWindows
from producers.replay import replay
from producers.tape_file import open_lines
from tests.consistency.harness import raw_table, read_all, table
from tests.eventually import eventually
from tests.integration.agents.workers import PARTITIONS, Workers, chunks_of, own_broker
from tests.tape_trades import trades_of, trades_of_chunks

pytestmark = pytest.mark.verify

EXAMPLE = Path(__file__).parents[3] / "examples" / "consume.py"
NAME = "us-equities-2013-10-09"


class Day:
    """The tape's events folded in this process by the plain rules."""

    def __init__(self, tape: Path) -> None:
        self.trades: dict[str, list[Trade]] = {}
        self.ranges: dict[str, RangeRow] = {}
        self.nbbo: dict[str, Nbbo] = {}
        self.alert_keys: set[str] = set()
        calendar, rules = TradingCalendar.new_york(), AlertRules(cooldown_ms=0)
        decode = msgspec.json.Decoder(Aggregate | Trade | Quote).decode
        with open_lines(tape) as lines:
            for event in map(decode, lines):
                symbol = event.symbol or ""
                if isinstance(event, Trade):
                    self.trades.setdefault(symbol, []).append(event)
                elif isinstance(event, Quote):
                    self.nbbo[symbol] = fold_nbbo(self.nbbo.get(symbol), event) or self.nbbo[symbol]
                else:
                    self.ranges[symbol], alerts = fold_day(self.ranges.get(symbol), event, rules, calendar)
                    self.alert_keys.update(alert.key for alert in alerts)


@pytest.mark.timeout(180)
async def test_the_real_day_through_a_worker(tmp_path: Path, tape_dir: Path) -> None:
    """Each table is what the expected file or the plain rules say; each extreme has its alert."""
    expected = json.loads((tape_dir / f"{NAME}.expected.json").read_text())
    day = Day(tape_dir / f"{NAME}.ndjson.gz")
    with own_broker(tmp_path / "kafka") as bootstrap:
        await ensure_topics(bootstrap, topics.ALL_TOPICS, PARTITIONS)
        await replay(bootstrap, tape_dir / f"{NAME}.ndjson.gz", reference=tape_dir / f"{NAME}.reference.json")
        workers = Workers(bootstrap, tmp_path, alert_cooldown_s="0")
        workers.start()
        try:

            async def all_is_there() -> bool:
                found = (await table(bootstrap, topics.TRADE_WINDOWS)).get("*", {"symbols": {}})
                ranges = await table(bootstrap, topics.DAILY_RANGES)
                return _windows_of(found, expected) == expected["windows"] and ranges.keys() == day.ranges.keys()

            await eventually(all_is_there, timeout_s=90, interval_s=1)
            assert await _settled(bootstrap, topics.DAILY_RANGES) == {
                symbol: _plain(row) for symbol, row in day.ranges.items()
            }
            nbbo = await _settled(bootstrap, topics.NBBO)
            assert all(row.pop("received_ns") > 0 for row in nbbo.values())
            assert nbbo == {symbol: _received(row) for symbol, row in day.nbbo.items()}
            await _rows_and_boards_are(bootstrap, expected)
            await _tapes_are_whole(bootstrap, day)
            await _alerts_are_those_of_the_rules(bootstrap, day)
            await _the_example_reads_it(bootstrap, day)
            assert await read_all(bootstrap, topics.DEAD_LETTERS.name) == []
        finally:
            workers.stop()
    ranges = day.ranges
    for symbol, sessions in expected["ranges"].items():
        row = ranges[symbol]
        assert sessions["regular"] == [row.regular_session_high, row.regular_session_low]
        assert sessions["pre_market"] == [row.pre_market_high, row.pre_market_low]
        assert sessions["after_hours"] == [row.after_hours_high, row.after_hours_low]


async def _rows_and_boards_are(bootstrap: str, expected: dict[str, Any]) -> None:
    async def boards_are() -> bool:
        boards = await table(bootstrap, topics.LEADERBOARDS)
        found = {name: [entry["symbol"] for entry in board["entries"]] for name, board in boards.items()}
        return bool({name: found.get(name) for name in expected["boards"]} == expected["boards"])

    await eventually(boards_are, timeout_s=30, interval_s=1)
    rows = await table(bootstrap, topics.MARKET_QUOTES)
    for symbol, figures in expected["rows"].items():
        # The expected figures are rounded to 4 decimals.
        assert {name: rows[symbol][name] for name in figures} == pytest.approx(figures, abs=6e-5)


def _windows_of(summary: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    return {
        symbol: {name: statistics[name] for name in expected["windows"].get(symbol, ())}
        for symbol, statistics in summary["symbols"].items()
    }


def _plain(row: RangeRow) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(row))
    del found["raised"]
    return found


def _received(row: Nbbo) -> dict[str, Any]:
    """A row without the time of its receipt, which is the replay's."""
    fields: dict[str, Any] = msgspec.to_builtins(row)
    del fields["received_ns"]
    return fields


async def _settled(bootstrap: str, spec: topics.TopicSpec) -> dict[str, Any]:
    """The table once it is the same twice in a row, without the thresholds raised."""
    last: list[dict[str, Any]] = [{}]

    async def same() -> bool:
        found = await table(bootstrap, spec)
        before, last[0] = last[0], found
        return found == before

    await eventually(same, timeout_s=60, interval_s=1)
    for row in last[0].values():
        row.pop("raised", None)
    return last[0]


async def _tapes_are_whole(bootstrap: str, day: Day) -> None:
    chunks = chunks_of(await raw_table(bootstrap, topics.TRADE_TAPE))
    assert chunks.keys() == day.trades.keys()
    for symbol, trades in day.trades.items():
        windows = TradeWindows()
        windows.append(symbol, trades)
        assert trades_of_chunks(symbol, chunks[symbol]) == trades_of(windows, symbol)


async def _alerts_are_those_of_the_rules(bootstrap: str, day: Day) -> None:
    alerts = [json.loads(record.value) for record in await read_all(bootstrap, topics.ALERTS.name)]
    extremes = [alert for alert in alerts if alert["kind"] in ("new_high", "new_low")]
    assert {alert["key"] for alert in extremes} == day.alert_keys
    assert len(extremes) == len(day.alert_keys)
    thresholds = {alert["key"] for alert in alerts} - day.alert_keys
    assert thresholds == set()
    assert all(alert["row"]["symbol"] == alert["symbol"] for alert in alerts)


async def _the_example_reads_it(bootstrap: str, day: Day) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), bootstrap, "--once", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), timeout=60)
    first, *alerts = output.decode().splitlines()
    assert process.returncode == 0
    assert first == f"NBBO of {len(day.nbbo)} symbols"
    assert len(alerts) == len(day.alert_keys)
