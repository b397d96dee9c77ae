"""Lists over tables, documents put together, and what the feeds of each table are called."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.tables.lists import EXTREMES_FOR_MS, WRONGLY_AHEAD_MS, NewestAlerts
from app.gateway.tables.ranges import EXTREMES, Alert, joined_range
from app.gateway.tables.view import Record, View
from app.kafka import topics


def alert(symbol: str, at_ms: int, kind: str = "halt", **fields: Any) -> bytes:
    record = {"key": f"{symbol}/{kind}/{at_ms}", "symbol": symbol, "kind": kind, "timestamp": at_ms, "value": None}
    return json.dumps(record | {"note": "", "session": None, "previous": None, "row": None} | fields).encode()


def document(view: View, feed: str) -> Any:
    record = view.find(feed)
    return None if record is None else json.loads(record.document())


def versions(changed: list[Record]) -> dict[str, int]:
    return {record.feed: record.version for record in changed}


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from("abcdefgh")), max_size=60),
    st.integers(1, 8),
    st.none() | st.integers(0, 30),
)
def test_the_newest_alerts_are_the_same_in_any_order_and_with_repetitions(
    places: list[tuple[int, str]], kept: int, for_ms: int | None
) -> None:
    found = NewestAlerts(kept, for_ms)
    places = [(at_ms + WRONGLY_AHEAD_MS * (at_ms > 57), key) for at_ms, key in places]
    for at_ms, key in places:
        before = [entry for _, entry in found.newest()]
        # The key names the moment, so that equal keys are the same alert.
        changed = found.add(Alert(f"{key}/{at_ms}", key, "halt", at_ms), f"{key}/{at_ms}".encode())
        assert changed == (before != [entry for _, entry in found.newest()])
    newest = sorted(max(at_ms for at_ms, key in places if key == symbol) for symbol in {key for _, key in places})
    settled, agreed_ms = len(newest) >= 3, newest[-3:][0] if newest else 0
    alive = {
        (at_ms, f"{key}/{at_ms}")
        for at_ms, key in places
        if for_ms is None or not settled or at_ms >= agreed_ms - for_ms
    }
    expected = [
        key.encode()
        for at_ms, key in sorted(alive, reverse=True)[:kept]
        if not settled or at_ms <= agreed_ms + WRONGLY_AHEAD_MS
    ]
    assert [entry for _, entry in found.newest()] == expected


def test_an_alert_is_listed_once_and_is_the_newest_of_its_symbol() -> None:
    view = View()
    assert document(view, "alerts:latest") == []
    first, second = alert("A", 1000), alert("B", 2000)
    changed = view.apply(topics.ALERTS.name, [(b"A", first), (b"B", second), (b"A", first)])
    assert versions(changed) == {"alerts:A": 1, "alerts:B": 1, "alerts:latest": 1}
    assert [row["symbol"] for row in document(view, "alerts:latest")] == ["B", "A"]
    assert document(view, "alerts:A")["timestamp"] == 1000
    assert "alerts:latest" not in versions(view.apply(topics.ALERTS.name, [(b"A", first)]))
    assert view.apply(topics.ALERTS.name, [(b"C", b'{"key":1}')]) != []
    assert view.bad_records == 1
    assert len(document(view, "alerts:latest")) == 2


def test_lists_of_new_highs_and_lows_have_the_fields_that_widgets_of_ranges_know() -> None:
    view = View()
    row = {"symbol": "A", "close": 15.5, "day": "2026-11-20"}
    fields = {"value": 15.5, "note": "Broke", "session": "regular", "previous": 15.0, "row": row, "late": True}
    high = alert("A", 1_795_186_801_500, "new_high", **fields)
    changed = view.apply(topics.ALERTS.name, [(b"A", high), (b"B", alert("B", 1_795_186_801_600, "new_low"))])
    assert set(versions(changed)) >= {"daily_range_hod_alert", "daily_range_lod_alert"}
    assert document(view, "daily_range_hod_alert") == [
        {
            "key": "A/new_high/1795186801500", "symbol": "A", "session": "regular", "direction": "high", "price": 15.5,
            "previous": 15.0, "timestamp": 1_795_186_801.5, "note": "Broke", "late": True, "close": 15.5,
            "day": "2026-11-20",
        }
    ]  # fmt: skip
    assert [each["direction"] for each in document(view, "daily_range_lod_alert")] == ["low"]
    at_ms = 1_795_186_801_500 + EXTREMES_FOR_MS + 1
    for symbol in "CDE":
        # One symbol, or two, do not make an alert old.
        assert document(view, "daily_range_hod_alert")[-1]["symbol"] == "A"
        late = alert(symbol, at_ms, "new_high", **fields | {"row": None})
        view.apply(topics.ALERTS.name, [(symbol.encode(), late)])
    assert [each["symbol"] for each in document(view, "daily_range_hod_alert")] == ["E", "D", "C"]


def test_an_alert_of_2036_hides_no_other_and_is_not_listed() -> None:
    view, at_ms = View(), 1_795_186_801_500
    pairs = [(symbol.encode(), alert(symbol, at_ms, "new_high")) for symbol in "ABC"]
    view.apply(topics.ALERTS.name, [*pairs, (b"P", alert("P", at_ms + 10 * 365 * 86_400_000, "new_high"))])
    for feed in ("daily_range_hod_alert", "alerts:latest"):
        assert [each["symbol"] for each in document(view, feed)] == ["C", "B", "A"]


def test_the_list_of_what_is_halted_follows_halts_and_resumptions() -> None:
    def halt(symbol: str, since: int | None) -> tuple[bytes, bytes]:
        return symbol.encode(), json.dumps({"symbol": symbol, "halted_since": since}).encode()

    view = View()
    assert document(view, "scanners:halted") == []
    changed = view.apply(topics.MARKET_HALTS.name, [halt("A", 10), halt("B", None), halt("C", 30)])
    assert versions(changed) == {"halt:A": 1, "halt:B": 1, "halt:C": 1, "scanners:halted": 1}
    assert [row["symbol"] for row in document(view, "scanners:halted")] == ["C", "A"]
    assert "scanners:halted" not in versions(view.apply(topics.MARKET_HALTS.name, [halt("B", None)]))
    view.apply(topics.MARKET_HALTS.name, [halt("C", None), (b"A", None)])
    assert document(view, "scanners:halted") == []
    view.apply(topics.LEADERBOARDS.name, [(b"halted", b'{"board":"halted","day":"","published_ns":1,"entries":[1]}')])
    assert document(view, "scanners:halted") == []


@pytest.mark.parametrize(
    ("range_day", "quote", "expected"),
    [
        pytest.param("2026-11-20", {"day": "2026-11-20", "close": 2}, {"close": 2, "pre_market_high": 9}, id="same"),
        pytest.param("2026-11-20", {"day": "2026-11-23"}, {"day": "2026-11-23", "pre_market_high": None}, id="newer"),
        pytest.param("2026-11-20", None, {"day": "2026-11-20", "pre_market_high": 9}, id="no-quote"),
        pytest.param("2026-11-20", {"day": "2026-11-19"}, {"pre_market_high": 9}, id="older"),
    ],
)
def test_a_daily_range_is_the_quote_with_the_extremes_of_its_day(
    range_day: str, quote: dict[str, Any] | None, expected: dict[str, Any]
) -> None:
    ranges = {"symbol": "A", "day": range_day, "pre_market_high": 9, "raised": ["x"], "last_alert_ms": {}}
    given_quote = None if quote is None else json.dumps({"symbol": "A"} | quote).encode()
    found = json.loads(joined_range(json.dumps(ranges).encode(), given_quote))
    assert {"symbol": "A"} | expected == {name: found[name] for name in {"symbol"} | expected.keys()}
    assert set(EXTREMES) <= found.keys()
    assert not {"raised", "last_alert_ms"} & found.keys()


def test_a_quote_changes_the_daily_range_of_its_symbol() -> None:
    view = View()
    view.apply(topics.DAILY_RANGES.name, [(b"A", b'{"symbol":"A","day":"2026-11-20","pre_market_high":9}')])
    changed = view.apply(topics.MARKET_QUOTES.name, [(b"A", b'{"symbol":"A","day":"2026-11-20","close":3}')])
    assert versions(changed) == {"quote:A": 1, "daily_range:A": 2}
    assert document(view, "daily_range:A")["close"] == 3


@pytest.mark.parametrize(
    ("topic", "key", "feed"),
    [
        (topics.TRADE_WINDOWS, "AAPL", "tta:AAPL:widget"),
        (topics.TRADE_WINDOWS, "*", "tta:all_symbols:widget"),
        (topics.NBBO, "AAPL", "nbbo:AAPL"),
        (topics.MARKET_HALTS, "AAPL", "halt:AAPL"),
        (topics.DAILY_RANGES, "AAPL", "daily_range:AAPL"),
    ],
)
def test_each_table_is_served_under_the_names_that_widgets_know(topic: topics.TopicSpec, key: str, feed: str) -> None:
    view = View()
    view.apply(topic.name, [(key.encode(), b'{"symbol":"AAPL"}')])
    assert document(view, feed)["symbol"] == "AAPL"
    view.apply(topic.name, [(key.encode(), None)])
    assert view.find(feed) is None
