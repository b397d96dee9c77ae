"""Rows of symbols that are gone from the market leave the tables some trading days after their last event."""

from collections.abc import Iterable
from typing import Final

from app.market.calendar import TradingCalendar

#: A symbol's rows stay for so many trading days after its last event: halts for news and listings that wait last
#: shorter, and whoever comes back later begins afresh.
KEPT_TRADING_DAYS: Final = 10


def gone(days: Iterable[tuple[str, str | int]], today: str | None, calendar: TradingCalendar) -> dict[str, None]:
    """The symbols whose row is of more than ten trading days before `today` (ISO date), each with None: no row.

    `days` has symbols with the trading day or the time (epoch ms) of their row. `today` is the day that the market's
    symbols agree on, None where there is none; then, and on a day that is none of the calendar's, nobody is gone. A
    row of no day of the calendar stays: nobody can tell how old it is.
    """
    if today is None:
        return {}
    try:
        oldest = calendar.days_before(today, KEPT_TRADING_DAYS)
    except ValueError:
        return {}
    found = ((symbol, _day(at, calendar)) for symbol, at in days)
    return {symbol: None for symbol, day in found if day is not None and day < oldest}


def _day(at: str | int, calendar: TradingCalendar) -> str | None:
    try:
        return calendar.trading_day(at).day if isinstance(at, str) else calendar.day_of(at)
    except ValueError:
        return None
