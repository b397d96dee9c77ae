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


class DayShape:
    """The rate of each second from 04:00 to 20:00 ET, and what share of the day has passed by then."""

    def __init__(self, day: TradingDay) -> None:
        self.seconds = (day.after_hours_end_ms - day.begins_ms) // 1000
        opens = (day.opens_ms - day.begins_ms) // 1000
        closes = (day.closes_ms - day.begins_ms) // 1000
        second = np.arange(self.seconds, dtype=np.float64)
        rate = np.empty(self.seconds)
        rate[:opens] = PRE_MARKET_LOW + (PRE_MARKET_HIGH - PRE_MARKET_LOW) * (second[:opens] / opens) ** 3
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
        """The share (0 to 1) of a day's activity before a second, counted from 04:00 ET."""
        return float(self._passed[min(max(second, 0), self.seconds)]) / self._total
