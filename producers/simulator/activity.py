"""How busy the market is at each second of a trading day: quiet before the open, a U through the day."""

from typing import Final

import numpy as np

from app.market.calendar import TradingDay
from producers.simulator.symbols import Floats

#: Rates against the regular session's mean, which is 1. The open is about four times the mean.
PRE_MARKET_LOW: Final = 0.02
PRE_MARKET_HIGH: Final = 0.35
AFTER_HOURS_HIGH: Final = 0.30
AFTER_HOURS_LOW: Final = 0.02
OVERNIGHT: Final = 0.01


class DayShape:
    """The rate of each second up to 20:00 ET, and what share of the day has passed by then.

    The first is 04:00 ET, or `begins_ms` where an overnight session comes before.
    """

    def __init__(self, day: TradingDay, begins_ms: int | None = None) -> None:
        begins_ms = day.pre_market_ms if begins_ms is None else begins_ms
        self.seconds = (day.after_hours_end_ms - begins_ms) // 1000
        early, opens, closes = ((at - begins_ms) // 1000 for at in (day.pre_market_ms, day.opens_ms, day.closes_ms))
        second = np.arange(self.seconds, dtype=np.float64)
        rate = np.full(self.seconds, OVERNIGHT)
        towards_open = (second[early:opens] - early) / (opens - early)
        rate[early:opens] = PRE_MARKET_LOW + (PRE_MARKET_HIGH - PRE_MARKET_LOW) * towards_open**3
        regular = (second[opens:closes] - opens) / (closes - opens)
        shape = 0.62 + 3.4 * np.exp(-regular * 22) + 1.5 * np.exp(-(1 - regular) * 14) + 0.5 * (2 * regular - 1) ** 2
        rate[opens:closes] = shape / shape.mean()
        after = (second[closes:] - closes) / (self.seconds - closes)
        rate[closes:] = AFTER_HOURS_LOW + (AFTER_HOURS_HIGH - AFTER_HOURS_LOW) * np.exp(-after * 6)
        self.rate: Floats = rate
        self._total = float(rate.sum())
        self._passed = np.concatenate(([0.0], np.cumsum(rate)))

    @property
    def total(self) -> float:
        """The day's sum of rates: with a mean rate per second, the day's events."""
        return self._total

    def passed(self, second: int) -> float:
        """The share (0 to 1) of a day's activity before a second, counted from its first."""
        return float(self._passed[min(max(second, 0), self.seconds)]) / self._total
