"""A scan that follows the market batch by batch finds what a look at all rows finds."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.feeds.filtering import compiled, fitted, matching
from app.gateway.feeds.scans import Market, Scan
from app.gateway.protocol.messages import Options, ProtocolError
from app.gateway.tables.documents import rows
from app.gateway.tables.view import View
from app.kafka.topics import MARKET_QUOTES
from tests.gateway_stack import quote_row

SYMBOLS = [f"S{number}" for number in range(12)]
changes = st.lists(
    st.tuples(
        st.sampled_from(SYMBOLS),
        st.none() | st.tuples(st.sampled_from([1.0, 5.0, 5.0, 9.0]), st.none() | st.sampled_from([1.0, 2.0, 3.0])),
    ),
    max_size=8,
)
FILTER = "close > 4 and (pct_change is null or pct_change < 3)"


def written(symbol: str, change: tuple[float, float | None] | None) -> tuple[bytes, bytes | None]:
    if change is None:
        return symbol.encode(), None
    return symbol.encode(), json.dumps(quote_row(symbol, close=change[0], pct_change=change[1])).encode()


def by_hand(market: dict[str, Any], sort: str, limit: int) -> tuple[list[str], set[str]]:
    """The shown symbols in order, and all that match."""
    found = {each: row for each, row in market.items() if row and row[0] > 4 and (row[1] is None or row[1] < 3)}
    sign = -1 if sort.startswith("-") else 1
    at = {"close": 0, "pct_change": 1}[sort.removeprefix("-")]

    def place(symbol: str) -> tuple[bool, float, str]:
        value = found[symbol][at]
        return value is None, 0 if value is None else sign * value, symbol

    return sorted(found, key=place)[:limit], set(found)


@given(
    st.lists(changes, max_size=6),
    changes,
    st.sampled_from(["close", "-close", "pct_change", "-pct_change"]),
    st.integers(1, 4),
)
def test_a_scan_is_what_a_look_at_all_rows_finds(batches: Any, before: Any, sort: str, limit: int) -> None:
    view = View()
    view.apply(MARKET_QUOTES.name, [written(*change) for change in before])
    market = Market(view)
    market.load()
    scan = Scan(market, compiled("scan:quotes", FILTER), sort, limit)
    state: dict[str, Any] = dict(before)
    known = by_hand(state, sort, limit)[1]
    for batch in batches:
        records = view.apply(MARKET_QUOTES.name, [written(*change) for change in batch])
        places = market.take(records)
        scan.evaluate(places, {name: market.columns[name][places] for name in scan.fields})
        state |= dict(batch)
        shown, found = by_hand(state, sort, limit)
        news = scan.advance()
        if news is None:
            assert found == known
        else:
            assert (set(news.entered), set(news.left)) == (found - known, known - found)
            assert news.count == len(found)
            known = found
        present = scan.present()
        assert [msgspec.json.decode(row["symbol"]) for row in present.rows] == shown
        assert [msgspec.json.decode(row["rank"]) for row in present.rows] == list(range(1, len(shown) + 1))
        assert [msgspec.json.decode(row["close"]) for row in present.rows] == [state[symbol][0] for symbol in shown]


def test_a_row_that_is_none_is_found_by_no_scan() -> None:
    view = View()
    view.apply(MARKET_QUOTES.name, [(b"A", b'{"symbol":"A"}'), written("B", (5.0, None))])
    market = Market(view)
    market.load()
    assert Scan(market, compiled("scan:quotes", "true"), "symbol", 10).present().count == 1


@pytest.mark.parametrize(
    ("feed", "options", "code", "says"),
    [
        ("quote:AAPL", Options(filter="close > 1"), "bad_filter", "is no list of rows"),
        ("scan:quotes", Options(filter="float > 1"), "bad_filter", "did you mean free_float"),
        ("scan:quotes", Options(limit=501), "bad_limit", "at most 500"),
        ("scan:quotes", Options(sort="nonsense"), "bad_sort", "a field of numbers"),
        ("scan:quotes", Options(sort="-day"), "bad_sort", "a field of numbers"),
        ("scanners:top_volume", Options(sort="close"), "bad_sort", "only scans"),
        ("scan:quotes:*", Options(), "bad_feed", "one scan"),
    ],
)
def test_what_does_not_fit_the_feed_is_refused_with_its_code(feed: str, options: Options, code: str, says: str) -> None:
    with pytest.raises(ProtocolError, match=says) as caught:
        fitted(feed, options)
    assert caught.value.code == code


def test_equal_filters_are_one_scan_however_they_are_written() -> None:
    one, other = (
        Options(filter="close>4 AND not( volume<1K )"),
        Options(filter=" (close > 4.0) and (not volume < 1000)"),
    )
    assert fitted("scan:quotes", one) == fitted("scan:quotes", other)


def test_the_rows_of_a_board_are_filtered_by_their_rank_too() -> None:
    feed = "scanners:top_volume"
    board = rows(json.dumps([{"rank": 1, **quote_row("A")}, {"rank": 2, **quote_row("B")}]).encode())
    assert [bytes(row["symbol"]) for row in matching(feed, compiled(feed, "rank > 1 and close > 1"), board)] == [b'"B"']
