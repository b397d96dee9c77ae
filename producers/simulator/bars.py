"""What the trades of a second add up to: second bars, minute bars, the day so far."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from producers.simulator.history import Bars
from producers.simulator.symbols import Floats, Ints

#: Rows of minute bars that are kept for the REST answers, about 64 bytes each; the oldest go first.
MINUTE_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars of one window, one row per symbol that traded in it, by slot; `op` is 0 before it is known."""

    start_ms: int
    end_ms: int
    slot: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Ints
    notional: Floats
    trades: Ints
    day_volume: Ints
    day_vwap: Floats
    official_open: Floats

    @property
    def vwap(self) -> Floats:
        """The window's volume-weighted mean price in US dollars."""
        return self.notional / self.volume


class DayBars:
    """Running totals of one trading day, and the minute that is being built."""

    def __init__(self, count: int) -> None:
        self.volume = np.zeros(count, dtype=np.int64)
        self.notional = np.zeros(count)
        self.trades = np.zeros(count, dtype=np.int64)
        self.open = np.zeros(count)
        self.high = np.zeros(count)
        self.low = np.zeros(count)
        self.close = np.zeros(count)
        self.official_open = np.zeros(count)
        self.minutes: deque[BarColumns] = deque()
        self._minute_rows = 0
        self._minute: list[BarColumns] = []

    def add_second(self, start_ms: int, slot: Ints, price: Floats, size: Ints, regular: bool) -> BarColumns:
        """The second bars of trades given in time order; the day's totals follow."""
        order = np.argsort(slot, kind="stable")
        slots, first = np.unique(slot[order], return_index=True)
        ordered, sizes = price[order], size[order]
        last = np.append(first[1:], len(order))[: len(first)] - 1
        opened, closed = ordered[first], ordered[last]
        if len(slots):
            high, low = np.maximum.reduceat(ordered, first), np.minimum.reduceat(ordered, first)
            volume, notional = np.add.reduceat(sizes, first), np.add.reduceat(ordered * sizes, first)
        else:
            high, low, volume, notional = opened, opened, sizes, opened
        self._add(slots, opened, high, low, closed, volume, notional, last - first + 1)
        if regular:
            unopened = self.official_open[slots] == 0
            self.official_open[slots[unopened]] = opened[unopened]
        bars = self._columns(
            start_ms, start_ms + 1000, slots, opened, high, low, closed, volume, notional, last - first + 1
        )
        self._minute.append(bars)
        return bars

    def end_minute(self, end_ms: int) -> BarColumns | None:
        """The minute bars of the seconds since the last call, or None when nothing traded."""
        parts, self._minute = [bars for bars in self._minute if len(bars.slot)], []
        if not parts:
            return None
        all_slots = np.concatenate([bars.slot for bars in parts])
        order = np.argsort(all_slots, kind="stable")
        slots, first = np.unique(all_slots[order], return_index=True)
        last = np.append(first[1:], len(order))[: len(first)] - 1

        def column(name: str) -> Floats:
            joined: Floats = np.concatenate([getattr(bars, name) for bars in parts])[order]
            return joined

        def total(name: str) -> Floats:
            summed: Floats = np.add.reduceat(column(name), first)
            return summed

        minute = self._columns(
            end_ms - 60_000,
            end_ms,
            slots,
            column("open")[first],
            np.maximum.reduceat(column("high"), first),
            np.minimum.reduceat(column("low"), first),
            column("close")[last],
            total("volume").astype(np.int64),
            total("notional"),
            total("trades").astype(np.int64),
        )
        self._keep(minute)
        return minute

    def skip(self, volume: Floats, trades: Floats, opened: Floats, price: Floats, official: bool) -> None:
        """Totals as if the day had run up to now: shares, trades, first and present price (US dollars)."""
        self.volume = np.maximum(volume, 0).astype(np.int64)
        traded = self.volume > 0
        self.trades = np.where(traded, np.maximum(trades, 1), 0).astype(np.int64)
        self.notional = self.volume * (opened + price) / 2
        self.open, self.close = np.where(traded, opened, 0.0), np.where(traded, price, 0.0)
        self.high = np.where(traded, np.maximum(opened, price), 0.0)
        self.low = np.where(traded, np.minimum(opened, price), 0.0)
        if official:
            self.official_open = self.open.copy()

    def as_bars(self) -> Bars:
        """The day so far; a symbol that has not traded has zeros."""
        vwap = np.divide(self.notional, self.volume, out=np.zeros_like(self.notional), where=self.volume > 0)
        copies = (part.astype(np.float64) for part in (self.open, self.high, self.low, self.close, self.volume))
        opened, high, low, close, volume = copies
        return Bars(opened, high, low, close, volume, vwap.round(4), self.trades.astype(np.float64))

    def _keep(self, minute: BarColumns) -> None:
        self.minutes.append(minute)
        self._minute_rows += len(minute.slot)
        while self._minute_rows > MINUTE_ROWS:
            self._minute_rows -= len(self.minutes.popleft().slot)

    def _add(
        self, slots: Ints, opened: Floats, high: Floats, low: Floats, closed: Floats, volume: Ints, notional: Floats,
        trades: Ints,
    ) -> None:  # fmt: skip
        fresh = self.volume[slots] == 0
        self.open[slots[fresh]] = opened[fresh]
        self.high[slots[fresh]], self.low[slots[fresh]] = 0.0, np.inf
        self.high[slots] = np.maximum(self.high[slots], high)
        self.low[slots] = np.minimum(self.low[slots], low)
        self.close[slots] = closed
        self.volume[slots] += volume
        self.notional[slots] += notional
        self.trades[slots] += trades

    def _columns(
        self, start_ms: int, end_ms: int, slots: Ints, opened: Floats, high: Floats, low: Floats, closed: Floats,
        volume: Ints, notional: Floats, trades: Ints,
    ) -> BarColumns:  # fmt: skip
        day_volume = self.volume[slots]
        day_vwap = self.notional[slots] / np.maximum(day_volume, 1)
        return BarColumns(
            start_ms, end_ms, slots, opened, high, low, closed, volume, notional, trades, day_volume, day_vwap,
            self.official_open[slots],
        )  # fmt: skip
