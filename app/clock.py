"""The one place that reads the machine's clocks and says which hours the market keeps.

Every market rule runs on event time. The wall clock only stamps what was received and paces
publishing, so that a replay of a past day gives what the day itself gave.
"""

import time

from app.market.calendar import HOURS, TradingCalendar, overnight_hours
from app.settings import overnight_from


def wall_ns() -> int:
    """Nanoseconds since the Unix epoch: for stamps that others read."""
    return time.time_ns()


def wall_s() -> float:
    """Seconds since the Unix epoch: for stamps that others read."""
    return time.time()


def monotonic_s() -> float:
    """Seconds on a clock that never goes back: for intervals and time-outs."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Let time pass between two looks at a condition; blocks the thread."""
    time.sleep(seconds)


def trading_calendar() -> TradingCalendar:
    """New York's trading days, with night sessions from the day that `TAPEREADER_OVERNIGHT_FROM` names."""
    from_day = overnight_from()
    return TradingCalendar.new_york(hours=HOURS if from_day is None else overnight_hours(from_day))
