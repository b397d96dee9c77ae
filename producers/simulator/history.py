"""Daily bars of the trading days before the simulated one, as the reference data of the vendor's REST."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.market.calendar import TradingCalendar
from producers.simulator.splits import Splits
from producers.simulator.symbols import Floats, Universe

#: 42 days of bars are what the platform asks for; calendar days, but sessions cost little.
SESSIONS: Final = 64


@dataclass(frozen=True, slots=True)
class Bars:
    """One bar of every symbol as columns: US dollars and shares; `trades` is a count."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats
    trades: Floats


class History:
    """The last sessions' bars, newest last, and the mean volume that the ratios report."""

    def __init__(
        self, universe: Universe, calendar: TradingCalendar, day: str, usual_volume: Floats, seed: int
    ) -> None:
        self.days: list[str] = []
        self._bars: dict[str, Bars] = {}
        rng = np.random.default_rng([seed, 2])
        close = universe.price
        newest_first: list[tuple[str, Bars]] = []
        for _ in range(SESSIONS):
            day = calendar.previous_day(day)
            bars, close = _day_before(rng, universe, close, usual_volume)
            newest_first.append((day, bars))
        for name, bars in reversed(newest_first):
            for column in (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.vwap, bars.trades):
                column[universe.is_new] = 0.0
            self.add(name, bars)

    def add(self, day: str, bars: Bars) -> None:
        """A finished day's bars; the oldest day goes."""
        self.days.append(day)
        self._bars[day] = bars
        if len(self.days) > SESSIONS:
            del self._bars[self.days.pop(0)]

    def bars(self, day: str) -> Bars:
        """A day's bars. Raises `KeyError`: a day that is not kept."""
        return self._bars[day]

    @property
    def last(self) -> Bars:
        """The bars of the day before the simulated one."""
        return self._bars[self.days[-1]]

    def average_volume(self, splits: Splits) -> Floats:
        """Mean volume of the last 30 sessions, in shares of the newest of them."""
        newest = self.days[-1]
        volumes: Floats = np.mean(
            [self._bars[day].volume * splits.factors(day, newest) for day in self.days[-30:]], axis=0
        )
        return volumes.round()


def _day_before(
    rng: np.random.Generator, universe: Universe, close: Floats, usual_volume: Floats
) -> tuple[Bars, Floats]:
    """The bars of a day that ended at `close`, and the close of the day before that one."""
    count = len(universe)
    move = rng.normal(0, universe.volatility, count)
    gap = rng.normal(0, universe.volatility * 0.4, count)
    opened = close / np.exp(move)
    reach = np.abs(rng.normal(0, universe.volatility * 0.6, (2, count)))
    high = np.maximum(opened, close) * np.exp(reach[0])
    low = np.minimum(opened, close) * np.exp(-reach[1])
    volume = np.maximum(usual_volume * rng.lognormal(-0.06, 0.35, count), 1).round()
    opened, high, low, close = (to_tick(price) for price in (opened, high, low, close))
    vwap = ((opened + high + low + 2 * close) / 5).round(4)
    trades = np.maximum(volume / universe.mean_size, 1).round()
    high, low = np.maximum.reduce((high, opened, close)), np.minimum.reduce((low, opened, close))
    return Bars(opened, high, low, close, volume, vwap, trades), opened / np.exp(gap)


def to_tick(price: Floats) -> Floats:
    """Prices on the exchange's grid: cents, below one dollar hundredths of a cent; never below one tick."""
    rounded: Floats = np.where(price >= 1, np.round(price, 2), np.maximum(np.round(price, 4), 0.0001))
    return rounded
