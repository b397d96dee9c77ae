"""The windows of all partitions: the busiest with all figures, a summary of all, written when they change."""

from app.market.handover import HandOver
from app.market.trade_tape import TapePartition, WindowTrade
from app.market.window_merge import ALL, EARLIER_DAY_MS, KEPT_S, AllWindows, HandedWindow, MergedWindows, SymbolWindow

START_MS = 1_381_325_400_000
Published = dict[str, SymbolWindow | AllWindows]


def handed(sizes: dict[str, float], top: int = 100, at_ms: int = START_MS) -> dict[str, HandedWindow | None]:
    partition = TapePartition()
    partition.fold([WindowTrade(symbol, price=1.0, size=size, timestamp=at_ms) for symbol, size in sizes.items()])
    return dict(partition.handed(top))


def publish(windows: MergedWindows, published: Published, now_s: float, top: int = 2) -> dict[str, object]:
    changes = windows.to_publish(published, f"at {now_s}", now_s, top)
    for symbol, record in changes.items():
        if record is None:
            del published[symbol]
        else:
            published[symbol] = record
    return dict(changes)


def test_the_merge_has_all_figures_of_the_busiest_only() -> None:
    windows, published = MergedWindows(1), Published()
    windows.take(HandOver(0, 1, 0, True, 1, handed({"S1": 1.0, "S3": 3.0, "S2": 2.0}, top=2)))
    assert list(publish(windows, published, 0.0)) == ["S3", "S2", ALL]
    busiest, summary = published["S3"], published[ALL]
    assert isinstance(busiest, SymbolWindow)
    assert isinstance(summary, AllWindows)
    assert busiest.trades_per_minute == 1.0
    assert [each.size for each in busiest.largest_prints] == [3.0]
    assert summary.symbols.keys() == {"S1", "S2", "S3"}
    assert summary.symbol_count == 3


def test_nothing_is_written_while_nothing_changes_and_only_what_does() -> None:
    windows, published = MergedWindows(1), Published()
    windows.take(HandOver(0, 1, 0, True, 1, handed({"S1": 1.0, "S2": 2.0})))
    publish(windows, published, 0.0)
    windows.take(HandOver(0, 1, 0, True, 2, handed({"S1": 1.0, "S2": 2.0})))
    assert publish(windows, published, 5.0) == {}
    windows.take(HandOver(0, 1, 1, False, 3, handed({"S1": 1.5})))
    assert publish(windows, published, 10.0).keys() == {"S1", ALL}
    record = published["S2"]
    assert record.timestamp == "at 0.0"


def test_who_is_no_longer_among_the_busiest_goes_after_a_minute_over_another_merge_too() -> None:
    windows, published = MergedWindows(1), Published()
    windows.take(HandOver(0, 1, 0, True, 1, handed({"S1": 1.0, "S2": 2.0})))
    publish(windows, published, 0.0)
    other = MergedWindows(1)
    other.take(HandOver(0, 2, 0, True, 2, handed({"S2": 2.0, "S3": 3.0, "S4": 4.0})))
    assert publish(other, published, 100.0).keys() == {"S3", "S4", ALL}
    assert publish(other, published, 100.0 + KEPT_S) == {}
    assert publish(other, published, 100.1 + KEPT_S) == {"S1": None, "S2": None}
    assert publish(other, published, 200.0) == {}
    assert published.keys() == {"S3", "S4", ALL}


def test_windows_of_yesterday_go_once_three_symbols_of_the_market_have_traded() -> None:
    """Also those of a partition in which none trades yet; one trade of a wrong time ends none."""
    windows, published = MergedWindows(3), Published()
    windows.take(HandOver(0, 1, 0, True, 1, handed({"Y1": 1.0, "Y2": 2.0})))
    windows.take(HandOver(1, 1, 0, True, 1, handed({"T1": 1.0, "T2": 2.0}, at_ms=START_MS + 2 * EARLIER_DAY_MS)))
    publish(windows, published, 0.0)
    summary = published[ALL]
    assert isinstance(summary, AllWindows)
    assert summary.symbols.keys() == {"Y1", "Y2", "T1", "T2"}
    windows.take(HandOver(2, 1, 0, True, 1, handed({"T3": 1.0}, at_ms=START_MS + 2 * EARLIER_DAY_MS)))
    publish(windows, published, 5.0)
    summary = published[ALL]
    assert isinstance(summary, AllWindows)
    assert summary.symbols.keys() == {"T1", "T2", "T3"}
