"""Lists, scans and times of the gateway are of the trading day that three symbols have reached."""

import json
from typing import Any

import msgspec
import pytest

from app.gateway.feeds.channels import Channel
from app.gateway.feeds.filtering import compiled
from app.gateway.feeds.scans import Market, Scan
from app.gateway.protocol.messages import Options
from app.gateway.tables.view import Record, View
from app.kafka import topics
from tests.gateway_stack import quote_row

THURSDAY, FRIDAY = "2026-11-19", "2026-11-20"
#: 2026-11-20 04:00 ET.
FOUR_MS = 1_795_165_200_000
TEN_YEARS_MS = 10 * 365 * 86_400_000


def trade(view: View, symbols: str, day: str, at_ms: int = FOUR_MS) -> list[Record]:
    rows = [quote_row(symbol, day=day, end_timestamp=at_ms) for symbol in symbols]
    return view.apply(topics.MARKET_QUOTES.name, [(row["symbol"].encode(), json.dumps(row).encode()) for row in rows])


def alert(symbol: str, kind: str, day: str | None, at_ms: int) -> tuple[bytes, bytes]:
    record = {"key": f"{symbol}/{kind}/{at_ms}", "symbol": symbol, "kind": kind, "timestamp": at_ms, "day": day}
    return symbol.encode(), json.dumps(record).encode()


def listed(view: View, feed: str, condition: str | None = None) -> list[str]:
    record = view.find(feed)
    assert record is not None
    options = Options() if condition is None else Options(filter=compiled(feed, condition))
    return [msgspec.json.decode(row["symbol"]) for row in Channel(feed, options, view)._rows(record)]


def of_two_days() -> View:
    view = View()
    trade(view, "ABCD", THURSDAY, FOUR_MS - 10 * 3_600_000)
    halts = [("A", THURSDAY, 1), ("B", FRIDAY, 2)]
    view.apply(
        topics.MARKET_HALTS.name,
        [
            (name.encode(), json.dumps({"symbol": name, "halted_since": FOUR_MS + at, "day": day}).encode())
            for name, day, at in halts
        ],
    )
    for kind in ("new_high", "new_low", "gap_up"):
        view.apply(topics.ALERTS.name, [alert("A", kind, THURSDAY, FOUR_MS - 1), alert("B", kind, FRIDAY, FOUR_MS + 1)])
    return view


LISTS = ["alerts:latest", "daily_range_hod_alert", "daily_range_lod_alert", "scanners:halted"]


@pytest.mark.parametrize("feed", LISTS)
def test_no_list_holds_yesterdays_entries_once_three_symbols_have_traded(feed: str) -> None:
    view = of_two_days()
    trade(view, "AB", FRIDAY)
    assert (view.day, set(listed(view, feed))) == (THURSDAY, {"A", "B"})
    changed = trade(view, "C", FRIDAY)
    assert (view.day, set(listed(view, feed))) == (FRIDAY, {"B"})
    assert feed in {record.feed for record in changed}
    # Nothing has changed by the next rows of the same day.
    assert feed not in {record.feed for record in trade(view, "D", FRIDAY)}


@pytest.mark.parametrize("feed", ["alerts:latest", "scanners:halted"])
def test_a_filter_by_the_day_chooses_among_all_days(feed: str) -> None:
    view = of_two_days()
    trade(view, "ABC", FRIDAY)
    assert set(listed(view, feed, f"day = '{THURSDAY}'")) == {"A"}
    assert set(listed(view, feed, "symbol != 'X'")) == {"B"}


def test_alerts_of_another_day_are_there_for_whoever_asks() -> None:
    view = of_two_days()
    trade(view, "ABC", FRIDAY)
    assert {found.symbol for found, _ in view.alerts.of_day()} == {"B"}
    assert {found.symbol for found, _ in view.alerts.of_day(THURSDAY)} == {"A"}


def scan_of(market: Market, condition: str) -> Scan:
    return Scan(market, compiled("scan:quotes", condition), "symbol", 10)


def follow(market: Market, scan: Scan, records: list[Any]) -> list[str]:
    places = market.take(record for record in records if record.table.topic is topics.MARKET_QUOTES)
    scan.evaluate(places, {name: market.columns[name][places] for name in scan.fields})
    return [msgspec.json.decode(row["symbol"]) for row in scan.present().rows]


def test_a_scan_holds_rows_of_the_current_day_unless_it_asks_for_others() -> None:
    view = View()
    trade(view, "ABCD", THURSDAY)
    market = Market(view)
    market.load()
    scan, of_all = scan_of(market, "close > 0"), scan_of(market, "close > 0 and day != ''")
    assert follow(market, scan, trade(view, "AB", FRIDAY)) == ["C", "D"]
    records = trade(view, "C", FRIDAY)
    assert follow(market, scan, records) == ["A", "B", "C"]
    assert follow(market, of_all, records) == ["A", "B", "C", "D"]


def test_one_row_of_2036_moves_neither_day_nor_newest_time() -> None:
    view = View()
    trade(view, "ABCD", FRIDAY)
    trade(view, "E", "2036-11-20", FOUR_MS + TEN_YEARS_MS)
    assert (view.day, view.newest_event_ms) == (FRIDAY, FOUR_MS)
    trade(view, "ABC", FRIDAY, FOUR_MS + 5000)
    assert (view.day, view.newest_event_ms) == (FRIDAY, FOUR_MS + 5000)
