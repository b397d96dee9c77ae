"""What the prints of a second add up to: second bars, minute bars, the day so far.

Each print counts for what its conditions allow: a second in which no print sets open and close has no bar, but its
shares are in the minute's and the day's. The day's bar is that of the regular session with its auctions.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from producers.simulator import conditions
from producers.simulator.history import Bars
from producers.simulator.ordering import order_of
from producers.simulator.shares import SHARE
from producers.simulator.symbols import Flags, Floats, Ints

#: Rows of minute bars that are kept for the REST answers, about 64 bytes each; the oldest go first.
MINUTE_ROWS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class BarColumns:
    """Bars of one window, one row per symbol that has one, by slot; `official_open` is 0 before it is known.

    Volumes are millionths of a share, `notional` is US dollars times these.
    """

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

    def rows(self, chosen: Flags | Ints | slice) -> "BarColumns":
        """Some of the rows, as copies."""
        return BarColumns(
            self.start_ms, self.end_ms,
            *(np.array(getattr(self, name)[chosen]) for name in _COLUMNS),
        )  # fmt: skip

    def row_of(self, slot: int) -> int | None:
        """The row of a symbol; None: it has no bar."""
        place = int(np.searchsorted(self.slot, slot))
        return place if place < len(self.slot) and self.slot[place] == slot else None


_COLUMNS: Final = tuple(BarColumns.__slots__[2:])


class DayBars:
    """Running totals of one trading day, and the minute that is being built.

    `last` is the newest price of any session; `open`, `high`, `low` and `close` are those of the day's bar, 0 before
    the regular session has brought one.
    """

    def __init__(self, count: int) -> None:
        self.volume = np.zeros(count, dtype=np.int64)
        self.notional = np.zeros(count)
        self.trades = np.zeros(count, dtype=np.int64)
        self.open, self.high, self.low, self.close = (np.zeros(count) for _ in range(4))
        self.last = np.zeros(count)
        self.official_open = np.zeros(count)
        self.minutes: deque[BarColumns] = deque()
        self._minute_rows = 0
        #: The seconds of the present minute, with the symbols whose prints have made no bar.
        self._minute: list[BarColumns] = []

    def add_second(self, start_ms: int, slot: Ints, price: Floats, size: Ints, code: Ints) -> BarColumns:
        """The second bars of prints given in time order; the day's totals follow."""
        counted = conditions.VOLUME[code]
        if not counted.all():
            slot, price, size, code = slot[counted], price[counted], size[counted], code[counted]
        order = order_of(slot)
        slots, first = _groups(slot[order])
        ordered, sizes, codes = price[order], size[order], code[order]
        opened, high, low, closed = _prices(ordered, first, conditions.HIGH_LOW[codes], conditions.OPEN_CLOSE[codes])
        volume = np.add.reduceat(sizes, first) if len(slots) else sizes
        notional = np.add.reduceat(ordered * sizes, first) if len(slots) else ordered
        trades = np.diff(first, append=len(order))
        self.volume[slots] += volume
        self.notional[slots] += notional
        self.trades[slots] += trades
        self._add_to_day(slots, ordered, first, codes)
        opening = code // 4 == conditions.Kind.OPENING
        self.official_open[slot[opening]] = price[opening]
        priced = opened > 0
        self.last[slots[priced]] = closed[priced]
        columns = self._columns(start_ms, start_ms + 1000, slots, opened, high, low, closed, volume, notional, trades)
        self._minute.append(columns)
        return columns if priced.all() else columns.rows(priced)

    def end_minute(self, end_ms: int) -> BarColumns | None:
        """The minute bars of the seconds since the last call, or None when nothing traded."""
        parts, self._minute = [bars for bars in self._minute if len(bars.slot)], []
        if not parts:
            return None
        all_slots = np.concatenate([bars.slot for bars in parts])
        order = order_of(all_slots)
        slots, first = _groups(all_slots[order])

        def column(name: str) -> Floats:
            joined: Floats = np.concatenate([getattr(bars, name) for bars in parts])[order]
            return joined

        def total(name: str) -> Floats:
            summed: Floats = np.add.reduceat(column(name), first)
            return summed

        opened, closed = _ends(column("open"), column("close"), first)
        minute = self._columns(
            end_ms - 60_000,
            end_ms,
            slots,
            opened,
            np.maximum.reduceat(column("high"), first),
            np.minimum.reduceat(column("low"), first),
            closed,
            total("volume").astype(np.int64),
            total("notional"),
            total("trades").astype(np.int64),
        ).rows(opened > 0)
        self._keep(minute)
        return minute

    def add_late(self, start_ms: int, slot: int, price: float, size: int, *, high_low: bool) -> BarColumns | None:
        """Add a print to the minute in which it was traded and to the day; the minute's bar where it has ended.

        The row that is returned is a copy. A print that came after its minute was forgotten counts for the day only.
        """
        self.volume[slot] += size
        self.notional[slot] += price * size
        self.trades[slot] += 1
        if high_low and self.open[slot]:
            self.high[slot], self.low[slot] = max(self.high[slot], price), min(self.low[slot], price)
        for second in self._minute:
            if second.start_ms == start_ms:
                row = second.row_of(slot)
                if row is not None:
                    add_to_row(second, row, price, size, high_low=high_low)
                return None
        minute_ms = start_ms // 60_000 * 60_000
        for minute in reversed(self.minutes):
            if minute.start_ms == minute_ms:
                row = minute.row_of(slot)
                if row is None:
                    return None
                add_to_row(minute, row, price, size, high_low=high_low)
                return minute.rows(slice(row, row + 1))
            if minute.start_ms < minute_ms:
                break
        return None

    def skip(self, volume: Floats, trades: Floats, opened: Floats, price: Floats, official: bool) -> None:
        """Totals as if the day had run up to now: shares, trades, first and present price (US dollars)."""
        self.volume = np.maximum(volume, 0).astype(np.int64) * SHARE
        traded = self.volume > 0
        self.trades = np.where(traded, np.maximum(trades, 1), 0).astype(np.int64)
        self.notional = self.volume * (opened + price) / 2
        self.last = np.where(traded, price, 0.0)
        if official:
            self.open, self.close = np.where(traded, opened, 0.0), self.last.copy()
            self.high = np.where(traded, np.maximum(opened, price), 0.0)
            self.low = np.where(traded, np.minimum(opened, price), 0.0)
            self.official_open = self.open.copy()

    def as_bars(self) -> Bars:
        """The day's bar so far: volumes in shares; zeros of what there is not yet."""
        vwap = np.divide(self.notional, self.volume, out=np.zeros_like(self.notional), where=self.volume > 0)
        opened, high, low, close = (part.copy() for part in (self.open, self.high, self.low, self.close))
        return Bars(opened, high, low, close, self.volume / SHARE, vwap.round(4), self.trades.astype(np.float64))

    def _keep(self, minute: BarColumns) -> None:
        self.minutes.append(minute)
        self._minute_rows += len(minute.slot)
        while self._minute_rows > MINUTE_ROWS:
            self._minute_rows -= len(self.minutes.popleft().slot)

    def _add_to_day(self, slots: Ints, price: Floats, first: Ints, code: Ints) -> None:
        high_low = conditions.DAY_HIGH_LOW[code]
        if not high_low.any():
            return
        opened, high, low, closed = _prices(price, first, high_low, conditions.DAY_OPEN_CLOSE[code])
        priced = opened > 0
        fresh = priced & (self.open[slots] == 0)
        self.open[slots[fresh]], self.low[slots[fresh]] = opened[fresh], np.inf
        self.close[slots[priced]] = closed[priced]
        # A print that sets no open may be the first one: until there is an open there is no bar.
        begun = self.open[slots] > 0
        there = slots[begun]
        self.high[there] = np.maximum(self.high[there], high[begun])
        self.low[there] = np.minimum(self.low[there], low[begun])

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


def add_to_row(bars: BarColumns, row: int, price: float, size: int, *, high_low: bool) -> None:
    """Let a bar hold one more print, that came late: its open and close stay."""
    bars.volume[row] += size
    bars.notional[row] += price * size
    bars.trades[row] += 1
    bars.day_vwap[row] = (bars.day_vwap[row] * bars.day_volume[row] + price * size) / (bars.day_volume[row] + size)
    bars.day_volume[row] += size
    if high_low and bars.open[row]:
        bars.high[row], bars.low[row] = max(bars.high[row], price), min(bars.low[row], price)


def _groups(ordered: Ints) -> tuple[Ints, Ints]:
    """Each number of an ordered column once, and where it is first."""
    first = np.flatnonzero(np.diff(ordered, prepend=-1))
    return ordered[first], first


def _prices(price: Floats, first: Ints, high_low: Flags, open_close: Flags) -> tuple[Floats, Floats, Floats, Floats]:
    """Open, high, low and close of each group of prints that begins at `first`; without a print for it 0, 0, inf, 0."""
    if not len(first):
        return price, price, price, price
    high = np.maximum.reduceat(np.where(high_low, price, 0.0), first)
    low = np.minimum.reduceat(np.where(high_low, price, np.inf), first)
    last = np.append(first[1:], len(price)) - 1
    if open_close[first].all() and open_close[last].all():
        return price[first], high, low, price[last]
    held = np.where(open_close, price, 0.0)
    opened, closed = _ends(held, held, first)
    return opened, high, low, closed


def _ends(opens: Floats, closes: Floats, first: Ints) -> tuple[Floats, Floats]:
    """The first open and the last close of each group that are above 0; 0 where none is."""
    place = np.arange(len(opens))
    begins = np.minimum.reduceat(np.where(opens > 0, place, len(opens)), first)
    ends = np.maximum.reduceat(np.where(closes > 0, place, -1), first)
    has = ends >= 0
    # A group without any is led beyond its end.
    opened = np.where(has, opens[np.minimum(begins, len(opens) - 1)], 0.0)
    return opened, np.where(has, closes[ends], 0.0)
