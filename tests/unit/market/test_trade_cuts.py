"""A partition's windows: the same wherever trades are cut, and none ends on one symbol's word."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.bounds import AGREEING_SYMBOLS
from app.market.trade_tape import TapePartition, WindowTrade
from app.market.trade_windows import WINDOW_IDLE_MS

START_MS = 1_381_325_400_000
YEAR_MS = 365 * 86_400_000


def trade_of(symbol: str, seconds: int | None, number: int = 0) -> WindowTrade:
    at_ms = None if seconds is None else START_MS + seconds * 1000
    return WindowTrade(symbol, price=10.0, size=1.0, id=str(number), timestamp=at_ms, sequence_number=number)


trades = st.builds(
    trade_of, st.sampled_from("ABCDE"), st.none() | st.integers(0, 30).map(lambda step: step * 50), st.integers(0, 9)
)


class Table:
    """A partition with its changelog; `restart` reads it back."""

    def __init__(self) -> None:
        self.partition, self.rows = TapePartition(), dict[str, bytes]()

    def fold(self, trades: list[WindowTrade]) -> None:
        self.partition.fold(trades)
        for key, data in self.partition.take_changes().items():
            if data is None:
                del self.rows[key]
            else:
                self.rows[key] = data

    def restart(self) -> None:
        self.partition = TapePartition()
        for key, data in self.rows.items():
            self.partition.load(key, data)
        self.partition.finish_loading()

    def told(self) -> dict[str, Any]:
        """Everything that readers are told of each window."""
        windows = self.partition.windows
        return {symbol: (windows.tape(symbol), windows.detail(symbol)) for symbol in sorted(windows.symbols())}


@settings(max_examples=300, deadline=None)
@given(st.lists(trades, max_size=40), st.sets(st.integers(1, 39)), st.sets(st.integers(1, 39)))
def test_windows_are_the_same_wherever_trades_are_cut_and_the_worker_starts_again(
    events: list[WindowTrade], cuts: set[int], restarts: set[int]
) -> None:
    whole, single, cut = Table(), Table(), Table()
    whole.fold(events)
    for event in events:
        single.fold([event])
    edges = [0, *sorted(at for at in cuts | restarts if at < len(events)), len(events)]
    for begin, end in pairwise(edges):
        if begin in restarts:
            cut.restart()
        cut.fold(events[begin:end])
    assert whole.told() == single.told() == cut.told()
    for table in (whole, single, cut):
        told = table.told()
        table.restart()
        assert table.told() == told


@given(st.lists(trades, max_size=40))
def test_a_window_ends_five_minutes_before_what_three_symbols_have_traded_at(events: list[WindowTrade]) -> None:
    table, naive = Table(), dict[str, int]()
    for event in events:
        table.fold([event])
        at_ms, before_ms = event.timestamp or 0, naive.get(event.symbol, 0)
        naive[event.symbol] = max(at_ms, before_ms)
        agreed_ms = sorted(naive.values())[-AGREEING_SYMBOLS:][0]
        naive = {symbol: last_ms for symbol, last_ms in naive.items() if last_ms + WINDOW_IDLE_MS > agreed_ms}
        assert set(table.told()) == set(naive)


def test_one_trade_of_a_time_to_come_ends_no_window_and_goes_once_its_time_cannot_be() -> None:
    table = Table()
    table.fold([trade_of(symbol, 1) for symbol in "ABCD"])
    poison = WindowTrade("P", price=666.0, size=1.0, timestamp=START_MS + 23 * YEAR_MS)
    table.fold([poison])
    assert set(table.told()) == set("ABCDP")
    table.restart()
    table.partition.drop_later_than(START_MS + 60_000)
    table.fold([trade_of("P", 2)])
    assert [each.price for each in table.partition.windows.tape("P")] == [10.0]
    table.restart()
    assert set(table.told()) == set("ABCDP")
    assert [each.price for each in table.partition.windows.tape("P")] == [10.0]
