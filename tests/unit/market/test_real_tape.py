"""The rules on a real day: four symbols of 2013-10-09 against figures computed apart from this code."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.market.calendar import TradingCalendar
from app.market.daily_ranges import DailyRange, fold_range
from app.market.events import Aggregate, PreviousDay, Quote, Reference, Trade
from app.market.quotes import QuoteState, accumulate, finish
from app.market.ranking import BOARDS, Ranking
from app.market.rows import QuoteRow
from app.market.trade_windows import TradeWindows

TAPE = Path(__file__).parents[4] / "shared" / "tape"
NAME = "us-equities-2013-10-09"
CALENDAR = TradingCalendar.new_york()

pytestmark = [
    pytest.mark.may_skip("the recorded tape is not part of the repository"),
    pytest.mark.skipif(
        not (TAPE / f"{NAME}.ndjson.gz").exists(), reason="the recorded tape is not beside the repository"
    ),
]


@cache
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((TAPE / f"{NAME}.expected.json").read_text())
    return found


@cache
def events() -> list[Aggregate | Trade | Quote]:
    decode = msgspec.json.Decoder(Aggregate | Trade | Quote).decode
    with gzip.open(TAPE / f"{NAME}.ndjson.gz") as lines:
        return [decode(line) for line in lines]


@cache
def references() -> dict[str, Reference]:
    found = json.loads((TAPE / f"{NAME}.reference.json").read_text())
    return {symbol: Reference(symbol, "2013-10-09", msgspec.convert(bar, PreviousDay)) for symbol, bar in found.items()}


@cache
def rows() -> dict[str, QuoteRow]:
    found: dict[str, QuoteState] = {}
    for event in events():
        if isinstance(event, Aggregate):
            symbol = event.symbol or ""
            found[symbol] = accumulate(found.get(symbol), event, CALENDAR) or found[symbol]
    return {symbol: finish(state, references()[symbol]) for symbol, state in found.items()}


def test_rows_are_the_expected_ones() -> None:
    for symbol, figures in expected()["rows"].items():
        for field, value in figures.items():
            assert getattr(rows()[symbol], field) == pytest.approx(value, abs=1e-4), (symbol, field)


@pytest.mark.parametrize("name", ["top_volume", "top_gappers", "top_gainers"])
def test_boards_are_the_expected_ones(name: str) -> None:
    ranking = Ranking()
    for row in rows().values():
        ranking.update(row)
    board = next(board for board in BOARDS if board.name == name)
    assert [symbol for symbol, _ in ranking.tops(board)] == expected()["boards"][name]


def test_ranges_are_the_expected_ones() -> None:
    states: dict[str, DailyRange] = {}
    for event in events():
        if isinstance(event, Aggregate):
            symbol = event.symbol or ""
            states[symbol] = fold_range(states.get(symbol), event, CALENDAR)[0]
    for symbol, sessions in expected()["ranges"].items():
        state = states[symbol]
        assert sessions == {
            "pre_market": [state.pre_market_high, state.pre_market_low],
            "regular": [state.regular_session_high, state.regular_session_low],
            "after_hours": [state.after_hours_high, state.after_hours_low],
        }


def test_trade_windows_are_the_expected_ones() -> None:
    windows = TradeWindows()
    trades: dict[str, list[Trade]] = {}
    for event in events():
        if isinstance(event, Trade):
            trades.setdefault(event.symbol or "", []).append(event)
    for symbol, of_symbol in trades.items():
        for begin in range(0, len(of_symbol), 137):
            windows.append(symbol, of_symbol[begin : begin + 137])
    for symbol, figures in expected()["windows"].items():
        statistics = msgspec.structs.asdict(windows.statistics(symbol) or pytest.fail(symbol))
        assert {name: statistics[name] for name in figures} == figures
