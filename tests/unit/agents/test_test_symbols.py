"""Test symbols have rows like others, and are on no board, in no scan and no alert unless a setting shows them."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import tables
from agents.daily_ranges import fold_ranges
from agents.halts import fold_bands
from agents.quotes import Boards
from app.gateway.feeds.filtering import compiled
from app.gateway.feeds.scans import Market, Scan
from app.gateway.tables.view import View
from app.kafka.topics import MARKET_QUOTES, MARKET_SYMBOLS
from app.market.boards import HandedRow, MergedBoards
from app.market.events import Aggregate, LimitUpLimitDown
from app.market.handover import HandOver
from app.market.rows import QuoteRow
from app.market.symbols import Listing
from app.settings import Settings
from app.stream import PartitionView
from app.stream.partition import PartitionState
from tables import test_symbols
from tests.gateway_stack import TEN_ET_MS, quote_row
from tests.unit.agents.test_daily_ranges import batch_of

SYMBOLS = ("AAPL", "ZVZZT", "MSFT", "IBM", "QQQX")
#: By the exchanges' list, and by the name that the directory has.
TESTS = {"ZVZZT", "QQQX"}
LISTINGS = {"QQQX": Listing("QQQX", "2026-11-20", "Nasdaq Test Stock"), "AAPL": Listing("AAPL", "2026-11-20", "Apple")}


@pytest.fixture(autouse=True, params=[False, True], ids=["left-out", "shown"])
def expected(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The symbols that are to be seen."""
    monkeypatch.setattr(test_symbols, "settings", Settings.load(test_symbols=request.param))
    directory, rows = PartitionState[Listing](0), PartitionState[QuoteRow](0)
    directory.rows = dict(LISTINGS)
    rows.rows = {
        symbol: msgspec.convert(quote_row(symbol, dollar_volume=1.0, pct_open_gap=1.0), QuoteRow) for symbol in SYMBOLS
    }
    tables.symbols.data.partitions[0], tables.quotes.data.partitions[0] = directory, rows
    yield set(SYMBOLS) - (set() if request.param else TESTS)
    for table in (tables.symbols, tables.quotes):
        table.data.partitions.clear()


def test_boards(expected: set[str]) -> None:
    boards, merged = Boards(), MergedBoards(1)
    boards.taken(0)
    boards.follow(0, {"ZVZZT": tables.quotes.owned[0].rows["ZVZZT"]})
    found = boards.hand_over(0)
    assert found is not None
    merged.take(msgspec.json.decode(found, type=HandOver[HandedRow]))
    for board in merged.to_publish(1):
        assert {msgspec.json.decode(entry)["symbol"] for entry in board.entries} == expected, board.board


def test_alerts_of_new_extremes_and_of_halts(expected: set[str]) -> None:
    bars = [
        Aggregate(symbol, close=price, high=price, low=price, start_timestamp=at, end_timestamp=at + 1000)
        for symbol in SYMBOLS
        for price, at in ((10.0, TEN_ET_MS), (12.0, TEN_ET_MS + 90_000))
    ]
    ranges: PartitionView[Any] = PartitionView(0, {})
    assert _symbols(fold_ranges(ranges, batch_of(bars))) == expected
    assert set(ranges.changes) == set(SYMBOLS), "the table has the rows of all"
    bands = [LimitUpLimitDown(symbol, indicators=[17], tape=3, timestamp=TEN_ET_MS) for symbol in SYMBOLS]
    assert _symbols(fold_bands(PartitionView(0, {}), batch_of(bands))) == expected


def _symbols(announced: list[tuple[bytes, bytes]]) -> set[str]:
    assert announced
    return {key.decode() for key, _ in announced}


def test_scans(expected: set[str]) -> None:
    view = View()
    view.apply(MARKET_SYMBOLS.name, [(key.encode(), msgspec.json.encode(each)) for key, each in LISTINGS.items()])
    view.apply(MARKET_QUOTES.name, [(key.encode(), msgspec.json.encode(quote_row(key))) for key in SYMBOLS])
    market = Market(view, test_symbols=expected == set(SYMBOLS))
    market.load()
    scan = Scan(market, compiled("scan:quotes", "close > 1"), "symbol", 10)
    assert [msgspec.json.decode(row["symbol"]) for row in scan.present().rows] == sorted(expected)
    assert scan.present().count == len(expected)
