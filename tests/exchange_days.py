"""Writes `app/market/exchange_days.json` from exchange_calendars: `make calendar`, after an update of it.

python -m tests.exchange_days
"""

import json
from datetime import date, timedelta
from importlib.metadata import version
from typing import Any

import exchange_calendars

from app.market.calendar import EXCHANGE_DAYS, NEW_YORK

FIRST, LAST = date(2003, 1, 1), date(2040, 12, 31)
OPENS, CLOSES = "09:30", "16:00"


def exchange_days() -> dict[str, Any]:
    """The days of the New York Stock Exchange that are not ordinary weekdays.

    Raises `ValueError`: a session that does not begin at 09:30 or is on a weekend, which the file cannot say.
    """
    exchange = exchange_calendars.get_calendar("XNYS", start=FIRST.isoformat(), end=LAST.isoformat())
    sessions = {stamp.date() for stamp in exchange.sessions}
    opens = {f"{stamp.tz_convert(NEW_YORK):%H:%M}" for stamp in exchange.opens}
    if opens != {OPENS} or any(day.weekday() > 4 for day in sessions):
        raise ValueError(f"expected sessions from 09:30 on weekdays, was {opens}, or one is on a weekend")
    weekdays = (FIRST + timedelta(days) for days in range((LAST - FIRST).days + 1))
    closes = ((day.isoformat(), f"{stamp.tz_convert(NEW_YORK):%H:%M}") for day, stamp in _closes(exchange))
    return {
        "source": f"exchange_calendars {version('exchange_calendars')}, XNYS",
        "first": FIRST.isoformat(),
        "last": LAST.isoformat(),
        "closed": [day.isoformat() for day in weekdays if day.weekday() < 5 and day not in sessions],
        "early_closes": {day: at for day, at in closes if at != CLOSES},
    }


def _closes(exchange: Any) -> list[tuple[date, Any]]:
    return [(session.date(), close) for session, close in zip(exchange.sessions, exchange.closes, strict=True)]


if __name__ == "__main__":
    EXCHANGE_DAYS.write_text(json.dumps(exchange_days(), indent=1) + "\n", encoding="utf-8")
