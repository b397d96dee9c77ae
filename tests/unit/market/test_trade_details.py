"""Sides, rates and largest prints of a window against plain lists, over restarts."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market import trade_ring, trade_windows
from app.market.events import Quote
from app.market.nbbo import Nbbo, fold_nbbo
from app.market.trade_sides import QUOTE_AHEAD_MS, QUOTE_VALID_MS, Side, side_of
from app.market.trade_statistics import LargePrint
from app.market.trade_tape import TapePartition, WindowTrade, read_tape
from app.market.trade_windows import WINDOW_IDLE_MS

START_MS = 1_381_325_400_000
WINDOW = 6


def quote_of(bid: float | None, ask: float | None, at_ms: int = START_MS) -> Nbbo:
    found = fold_nbbo(None, Quote(symbol="ABC", bid_price=bid, ask_price=ask, timestamp=at_ms))
    assert found is not None
    return found


@dataclass
class Naive:
    """All trades since the window began, each with its side."""

    trades: list[tuple[WindowTrade, str | None]] = field(default_factory=list)
    minutes: list[int] = field(default_factory=list)

    def append(self, trade: WindowTrade, quote: Nbbo | None) -> None:
        at_ms = trade.timestamp or 0
        last_ms = max((each.timestamp or 0 for each, _ in self.trades), default=0)
        if last_ms and at_ms > last_ms + WINDOW_IDLE_MS:
            self.trades, self.minutes = [], []
        side = None
        if quote is not None and quote.bid_price and quote.ask_price and quote.bid_price <= quote.ask_price:
            in_force = -QUOTE_AHEAD_MS <= at_ms - quote.timestamp <= QUOTE_VALID_MS
            middle = (quote.bid_price + quote.ask_price) / 2
            if in_force and trade.price and trade.price != middle:
                side = "ask" if trade.price > middle else "bid"
        self.trades.append((trade, side))
        self.minutes.append(max([at_ms // 60_000, *self.minutes]))

    def volume(self, wanted: str) -> float | None:
        kept = self.trades[-WINDOW:]
        if all(side is None for _, side in kept):
            return None
        return sum(trade.size or 0 for trade, side in kept if side == wanted)

    def rate(self) -> float | None:
        times = [trade.timestamp for trade, _ in self.trades[-WINDOW:] if trade.timestamp]
        if not times:
            return None
        span = max(times) - min(times)
        if len(self.trades) >= WINDOW and span < 60_000:
            return len(times) * 60_000 / max(span, 1)
        return float(sum(each > max(times) - 60_000 for each in times))

    def usual(self) -> float | None:
        timed = [minute for minute in self.minutes if minute]
        if not timed:
            return None
        first, running = timed[0], timed[-1]
        mean, known = 0.0, 0
        for minute in range(first + 1, running):
            known += 1
            mean += (timed.count(minute) - mean) / min(known, 30)
        return mean if known >= 5 else None

    def largest(self) -> tuple[LargePrint, ...]:
        kept = self.trades[-WINDOW:]
        ordered = sorted(kept, key=lambda each: -(each[0].size or 0))[:3]
        return tuple(
            LargePrint(trade.price or 0, trade.size or 0, trade.timestamp or 0, trade.exchange or 0, side)
            for trade, side in ordered
        )


trades = st.builds(
    lambda price, size, seconds: WindowTrade(
        symbol="ABC", price=price, size=size, timestamp=None if seconds is None else START_MS + seconds * 1000
    ),
    st.none() | st.integers(95, 105).map(float),
    st.none() | st.integers(1, 9).map(float) | st.just(0.5),
    st.none() | st.integers(0, 900),
)
quotes = st.none() | st.builds(
    lambda bid, ask, seconds: quote_of(bid, ask, START_MS + seconds * 1000),
    st.none() | st.integers(95, 105).map(float),
    st.none() | st.integers(95, 105).map(float),
    st.integers(0, 900),
)
batches = st.lists(st.tuples(st.lists(trades, max_size=5), quotes, st.booleans()), max_size=10)


def steady(
    batches: list[tuple[list[WindowTrade], Nbbo | None, bool]],
) -> list[tuple[list[WindowTrade], Nbbo | None, bool]]:
    """The same trades in the order of their time, so that windows live long enough to have a usual rate."""
    stamps = iter(sorted(trade.timestamp for batch, _, _ in batches for trade in batch if trade.timestamp))
    return [
        ([_at(trade, next(stamps)) if trade.timestamp else trade for trade in batch], quote, restarts)
        for batch, quote, restarts in batches
    ]


def _at(trade: WindowTrade, at_ms: int) -> WindowTrade:
    return WindowTrade(symbol="ABC", price=trade.price, size=trade.size, timestamp=at_ms)


@settings(max_examples=200)
@given(st.one_of(batches, batches.map(steady)))
def test_details_are_those_of_a_plain_list(batches: list[tuple[list[WindowTrade], Nbbo | None, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trade_ring, "WINDOW_TRADES", WINDOW)
        patch.setattr(trade_windows, "CHUNK_TRADES", 2)
        patch.setattr(trade_windows, "CHUNK_SLOTS", WINDOW // 2 + 1)
        patch.setattr(trade_ring, "_FIRST_CAPACITY", WINDOW)
        check(batches)


def check(batches: list[tuple[list[WindowTrade], Nbbo | None, bool]]) -> None:
    known: dict[str, Nbbo] = {}
    partition, naive = TapePartition(lambda: known), Naive()
    store: dict[str, bytes] = {}
    for batch, quote, restarts in batches:
        known.clear()
        if quote is not None:
            known["ABC"] = quote
        partition.fold(batch)
        for trade in batch:
            naive.append(trade, quote)
        for key, data in partition.take_changes().items():
            store.update({key: data} if data is not None else {})
            if data is None:
                del store[key]
        if restarts:
            partition = TapePartition(lambda: known)
            for key, data in store.items():
                partition.load(key, data)
            partition.finish_loading()
        compare(partition, naive, store)


def compare(partition: TapePartition, naive: Naive, store: dict[str, bytes]) -> None:
    handed = partition.handed().get("ABC")
    found = None if handed is None else handed.detail
    if not naive.trades:
        assert found is None
        return
    assert found is not None
    assert (found.bid_volume, found.ask_volume) == (naive.volume("bid"), naive.volume("ask"))
    rate, usual = naive.rate(), naive.usual()
    assert found.trades_per_minute == (None if rate is None else round(rate, 2))
    assert found.usual_trades_per_minute == (None if usual is None else round(usual, 2))
    ratio = round(rate / usual, 2) if rate is not None and usual else None
    assert found.relative_trade_rate == (None if ratio is None else pytest.approx(ratio, abs=0.011))
    assert found.largest_prints == naive.largest()
    chunks = {int(key.rpartition("/")[2]): data for key, data in store.items()}
    tape = [(each.price, each.size, each.timestamp, each.side) for each in read_tape("ABC", chunks)]
    wanted = [(trade.price or 0, trade.size or 0, trade.timestamp or 0, side) for trade, side in naive.trades[-WINDOW:]]
    assert tape == wanted[::-1]
    assert read_tape("ABC", chunks, 2) == read_tape("ABC", chunks)[:2]


@pytest.mark.parametrize(
    ("price", "at_ms", "quote", "side"),
    [
        pytest.param(10.02, START_MS, quote_of(10.0, 10.02), Side.ASK, id="at-the-ask"),
        pytest.param(10.00, START_MS, quote_of(10.0, 10.02), Side.BID, id="at-the-bid"),
        pytest.param(10.015, START_MS, quote_of(10.0, 10.02), Side.ASK, id="nearer-to-the-ask"),
        pytest.param(10.25, START_MS, quote_of(10.0, 10.5), Side.UNKNOWN, id="in-the-middle"),
        pytest.param(10.0, START_MS, quote_of(10.0, 0.0), Side.UNKNOWN, id="no-ask"),
        pytest.param(10.0, START_MS, quote_of(10.5, 10.0), Side.UNKNOWN, id="crossed"),
        pytest.param(10.0, START_MS, None, Side.UNKNOWN, id="no-quote"),
        pytest.param(None, START_MS, quote_of(10.0, 10.02), Side.UNKNOWN, id="no-price"),
        pytest.param(10.0, None, quote_of(10.0, 10.02), Side.UNKNOWN, id="no-time"),
        pytest.param(10.0, START_MS + QUOTE_VALID_MS + 1, quote_of(10.0, 10.02), Side.UNKNOWN, id="quote-too-old"),
        pytest.param(10.0, START_MS - QUOTE_AHEAD_MS - 1, quote_of(10.0, 10.02), Side.UNKNOWN, id="quote-too-new"),
    ],
)
def test_a_side_is_told_by_the_middle_of_a_quote_in_force(
    price: float | None, at_ms: int | None, quote: Nbbo | None, side: Side
) -> None:
    assert side_of(price, at_ms, quote) is side


def test_a_chunk_of_before_there_were_sides_is_read() -> None:
    old = b'[0,1381325400000,[[10.5,100,1381325400000,1,0,4,3,0,"x",[14]]]]'
    (trade,) = read_tape("ABC", {0: old})
    assert (trade.price, trade.size, trade.id, trade.side) == (10.5, 100, "x", None)
