"""The market's time in a file: a simulator that is started again goes on where it was.

Without it a second start would tell of a past that the tables have seen already, and until it had
caught up every event would count as late.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Final

from app.market.calendar import NEW_YORK, TradingCalendar

#: How often it is written (s): what a killed simulator repeats at most, times its speed.
KEEP_EVERY_S: Final = 1.0


class KeptTime:
    """A file with the market's time in epoch ms."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> int | None:
        """The time; None where there is no file, or no time in it."""
        try:
            return int(self.path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            return None

    def write(self, now_ms: int) -> None:
        """Keep a time; whoever reads meanwhile finds this one or the one before."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f"{self.path.name}.new")
        beside.write_text(str(now_ms), encoding="ascii")
        os.replace(beside, self.path)


def start_after(calendar: TradingCalendar, kept_ms: int, *, nights: bool = False) -> str:
    """The simulator's `start` from which a market that had come to `kept_ms` goes on.

    That is 04:00 ET of the next trading day where the day was over and its nights are left out.
    """
    day = calendar.trading_day(calendar.day_of(kept_ms))
    if kept_ms >= day.after_hours_end_ms and not nights:
        kept_ms = calendar.trading_day(calendar.next_day(day.day)).pre_market_ms
    return datetime.fromtimestamp(kept_ms / 1000, NEW_YORK).replace(tzinfo=None).isoformat(timespec="seconds")
