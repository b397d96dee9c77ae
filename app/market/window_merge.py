"""The trade windows of all partitions: what each hands over, and what is published of them."""

import heapq
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from app.market.agreed_time import agreed
from app.market.handover import HandOver, Merged
from app.market.trade_statistics import WindowDetail, WindowStatistics

#: Symbols whose statistics are published one by one.
TOP_WINDOWS: Final = 100
#: The key of the summary.
ALL: Final = "*"
#: A symbol that is no longer among the busiest keeps its record this long.
KEPT_S: Final = 60.0
#: Windows whose last price is so long before what three symbols have reached (ms) are of an earlier trading day: their
#: partition has too few symbols that trade by now to end them. Between two days are eight hours.
EARLIER_DAY_MS: Final = 4 * 3_600_000


class SymbolWindow(WindowDetail, frozen=True, kw_only=True, gc=False):
    """A record of `market.trade-windows`: one symbol's window; `timestamp` is ISO-8601 UTC."""

    timestamp: str
    symbol: str


class AllWindows(Struct, frozen=True):
    """The record of `market.trade-windows` under the key `*`: all symbols' windows."""

    timestamp: str
    symbols: dict[str, WindowStatistics]
    symbol_count: int


class HandedWindow(Struct, frozen=True, array_like=True, gc=False):
    """A window as it is handed over; all figures for those that are among a partition's busiest."""

    statistics: WindowStatistics
    detail: WindowDetail | None = None


class MergedWindows:
    """The windows of all partitions from their hand-overs, and what changes in the published table by them."""

    def __init__(self, partitions: int) -> None:
        self._merged = Merged[HandedWindow](partitions)
        self._left_s: dict[str, float] = {}
        self._changed = False

    @property
    def complete(self) -> bool:
        """Whether every partition was heard of."""
        return self._merged.complete

    def take(self, found: HandOver[HandedWindow]) -> None:
        """Take in the log's next hand-over."""
        self._changed |= bool(self._merged.take(found))

    def to_publish(
        self, published: Mapping[str, SymbolWindow | AllWindows], timestamp: str, now_s: float, top: int = TOP_WINDOWS
    ) -> dict[str, SymbolWindow | AllWindows | None]:
        """The records that differ from the `published` ones in more than their time; None for one that goes."""
        if not self._changed and not self._left_s:
            return {}
        self._changed = False
        windows = _of_the_day(self._merged.items())
        changes: dict[str, SymbolWindow | AllWindows | None] = {}
        busiest = busiest_of(windows, top)
        for symbol in busiest:
            record = _record(symbol, windows[symbol], timestamp)
            before = published.get(symbol)
            if before is None or msgspec.structs.replace(before, timestamp=timestamp) != record:
                changes[symbol] = record
        symbols = {symbol: window.statistics for symbol, window in windows.items()}
        summary = published.get(ALL)
        if not isinstance(summary, AllWindows) or summary.symbols != symbols:
            changes[ALL] = AllWindows(timestamp, symbols, len(symbols))
        return changes | self._gone(published.keys() - set(busiest) - {ALL}, now_s)

    def _gone(self, left: set[str], now_s: float) -> dict[str, SymbolWindow | AllWindows | None]:
        self._left_s = {symbol: self._left_s.get(symbol, now_s) for symbol in left}
        return {symbol: None for symbol, since_s in self._left_s.items() if now_s - since_s > KEPT_S}


def _of_the_day(windows: dict[str, HandedWindow]) -> dict[str, HandedWindow]:
    """The windows without those of an earlier trading day."""
    latest = {symbol: window.statistics.latest_timestamp for symbol, window in windows.items()}
    from_ms = (agreed(at_ms for at_ms in latest.values() if at_ms is not None) or 0) - EARLIER_DAY_MS
    return {symbol: windows[symbol] for symbol, at_ms in latest.items() if at_ms is None or at_ms > from_ms}


def busiest_of(windows: Mapping[str, HandedWindow], top: int = TOP_WINDOWS) -> list[str]:
    """The symbols with the largest volume, largest first, ties by symbol."""
    return heapq.nsmallest(top, windows, key=lambda symbol: (-windows[symbol].statistics.total_volume, symbol))


def _record(symbol: str, window: HandedWindow, timestamp: str) -> SymbolWindow:
    figures = msgspec.structs.asdict(window.detail or window.statistics)
    return SymbolWindow(timestamp=timestamp, symbol=symbol, **figures)
