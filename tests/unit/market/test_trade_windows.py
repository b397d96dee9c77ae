"""Trade windows against a list of the last 1,000 trades."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market import trade_ring, trade_windows
from app.market.events import Trade
from app.market.trade_ring import WINDOW_TRADES
from app.market.trade_statistics import WindowStatistics
from app.market.trade_windows import WINDOW_IDLE_MS, TradeWindows
from tests.tape_trades import trades_of

START_MS = 1_381_325_400_000


def normal(trade: Trade) -> Trade:
    """A trade with the zeros and empties that stand for what is missing."""
    empty: dict[str, Any] = {"id": "", "conditions": [], "symbol": "ABC"}
    fields = [name for name in trade.__struct_fields__ if name not in ("decimal_size", "participant_timestamp")]
    return Trade(**{name: getattr(trade, name) or empty.get(name, 0) for name in fields})


def identity(trade: Trade) -> tuple[Any, ...]:
    return trade.exchange, trade.trf_id, trade.id, trade.sequence_number


class Naive:
    """The rules on a plain list."""

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.last_ms = 0

    def append(self, trade: Trade) -> bool:
        trade = normal(trade)
        stamp, sequence = trade.timestamp or 0, trade.sequence_number
        if self.trades and self.last_ms and stamp > self.last_ms + WINDOW_IDLE_MS:
            self.trades, self.last_ms = [], 0
        if (sequence or trade.id) and identity(trade) in map(identity, self.trades):
            return False
        self.trades = [*self.trades, trade][-WINDOW_TRADES:]
        self.last_ms = max(self.last_ms, stamp)
        return True

    def expire(self, event_ms: int) -> None:
        if self.last_ms + WINDOW_IDLE_MS <= event_ms:
            self.trades, self.last_ms = [], 0

    def statistics(self) -> WindowStatistics | None:
        if not self.trades:
            return None
        sizes = [trade.size or 0 for trade in self.trades]
        times = [trade.timestamp for trade in self.trades if trade.timestamp]
        priced = [trade for trade in self.trades if trade.price and 12 not in (trade.conditions or ())]
        places = range(len(priced))
        latest = priced[max(places, key=lambda place: (priced[place].timestamp, place))] if priced else None
        return WindowStatistics(
            sum(sizes),
            len(sizes),
            round(sum(sizes) / len(sizes), 2),
            max(sizes),
            max(times) - min(times) if times else 0,
            None if latest is None else latest.price,
            None if latest is None else latest.timestamp,
            None if latest is None else latest.exchange,
        )


def trade_of(number: int, sequence: int | None, trade_id: str | None, step: int | None) -> Trade:
    """A trade of which every number decides what else is there, so that few draws give many kinds."""
    return Trade(
        symbol="ABC",
        exchange=(None, 0, 1, 2)[number % 4],
        id=trade_id,
        tape=(None, 1, 3)[number % 3],
        price=None if number % 7 == 0 else number / 4,
        size=None if number % 11 == 0 else number / (8 if number % 2 else 1),
        conditions=(None, [], [12, 37])[number % 3],
        timestamp=None if step is None else START_MS + step * 40_000,
        sequence_number=sequence,
        trf_id=None if number % 5 else number,
        trf_timestamp=None if number % 5 else START_MS + number,
    )


trades = st.builds(
    trade_of,
    st.integers(0, 1000),
    st.none() | st.integers(0, 30),
    st.sampled_from([None, "", "1", "2"]),
    st.none() | st.integers(0, 20),
)


def reloaded(store: dict[tuple[str, int], bytes]) -> TradeWindows:
    windows = TradeWindows()
    for (symbol, slot), data in sorted(store.items(), reverse=True):
        windows.load_chunk(symbol, slot, data)
    windows.finish_loading()
    return windows


def flush(windows: TradeWindows, store: dict[tuple[str, int], bytes]) -> int:
    """Write what is dirty, as a changelog would; the trades written."""
    written = 0
    for symbol, slot, data in windows.dirty_chunks():
        if data is None:
            del store[symbol, slot]
        else:
            store[symbol, slot] = data
            written += len(msgspec.json.decode(data)[2])
    return written


batches = st.lists(st.tuples(st.lists(trades, max_size=8), st.booleans(), st.none() | st.integers(0, 30)), max_size=8)


@pytest.mark.parametrize(
    ("window", "chunk"), [(1000, trade_windows.CHUNK_TRADES), (6, 2)], ids=["as-shipped", "small-enough-to-wrap"]
)
@settings(max_examples=100, deadline=None)
@given(batches)
def test_any_sequence_gives_what_a_plain_list_gives(
    window: int, chunk: int, sequence: list[tuple[list[Trade], bool, int | None]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trade_ring, "WINDOW_TRADES", window)
        patch.setattr(trade_windows, "CHUNK_TRADES", chunk)
        patch.setattr(trade_windows, "CHUNK_SLOTS", window // chunk + 1)
        patch.setattr(trade_ring, "_FIRST_CAPACITY", min(window, 16))
        patch.setitem(globals(), "WINDOW_TRADES", window)
        check(sequence)


def check(sequence: Iterable[tuple[list[Trade], bool, int | None]]) -> None:
    windows, naive = TradeWindows(), Naive()
    store: dict[tuple[str, int], bytes] = {}
    for batch, restarts, expired_at in sequence:
        assert windows.append("ABC", batch) == sum([naive.append(trade) for trade in batch])
        if expired_at is not None:
            windows.expire(START_MS + expired_at * 40_000)
            naive.expire(START_MS + expired_at * 40_000)
        assert trades_of(windows, "ABC") == naive.trades[::-1]
        assert windows.statistics("ABC") == naive.statistics()
        if restarts:
            flush(windows, store)
            windows = reloaded(store)
            assert trades_of(windows, "ABC") == naive.trades[::-1]
            assert windows.statistics("ABC") == naive.statistics()
            assert windows.dirty_chunks() == []


def print_of(number: int) -> Trade:
    return Trade("ABC", 1, str(number), 1, 10.0, 100.0, [12], START_MS + number, number)


def test_a_flush_writes_what_came_in_and_a_restart_finds_all_of_it() -> None:
    windows, naive = TradeWindows(), Naive()
    store: dict[tuple[str, int], bytes] = {}
    for number in range(1, 3501, 7):
        batch = [print_of(each) for each in range(number, number + 7)]
        windows.append("ABC", batch)
        for trade in batch:
            naive.trades = [*naive.trades, normal(trade)][-WINDOW_TRADES:]
        assert flush(windows, store) <= 2 * trade_windows.CHUNK_TRADES
        assert len(store) <= trade_windows.CHUNK_SLOTS
    assert windows.statistics("ABC") == naive.statistics()
    assert trades_of(reloaded(store), "ABC") == trades_of(windows, "ABC") == naive.trades[::-1]
    windows.expire(START_MS + 3500 + WINDOW_IDLE_MS)
    flush(windows, store)
    assert store == {}


@pytest.mark.verify
def test_a_market_of_windows_stays_below_400_mb() -> None:
    windows = TradeWindows()
    for index in range(500):
        windows.append(f"F{index}", (print_of(number) for number in range(1, 1001)))
    for index in range(9500):
        windows.append(f"S{index}", (print_of(number) for number in range(1, 31)))
    held = 0
    for window in windows._windows.values():
        # The texts: the list, its tuples, the id and the tuple of conditions.
        held += window._numbers.nbytes + len(window._texts) * (8 + 56 + 56 + 48)
    assert held < 400e6
    assert np.dtype(trade_ring._NUMBERS).itemsize == 54
