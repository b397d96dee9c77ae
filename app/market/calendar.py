"""The trading calendar as integers: which trading day and which session an event belongs to.

Built once from an exchange calendar, then asked for every event. A feed is nearly in time order,
so the current day's limits are kept as plain integers and only a day change searches for new ones.

A trading day runs from 04:00 US/Eastern of one session date to 04:00 of the next one, so that
nights, weekends and holidays belong to the trading day before them.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Self
from zoneinfo import ZoneInfo

import exchange_calendars
from msgspec import Struct

NEW_YORK = ZoneInfo("America/New_York")
DAY_BEGINS = time(4)
AFTER_HOURS_END = time(20)

#: Explicit ends, because the library's own defaults are counted from today. Building from them
#: takes 0.2 s; holidays beyond what the exchange has announced follow its present rules.
FIRST_DATE = "2003-01-01"
LAST_DATE = "2040-12-31"


class Session(StrEnum):
    """The three sessions of a trading day."""

    PRE_MARKET = "pre_market"
    REGULAR = "regular"
    AFTER_HOURS = "after_hours"


class TradingDay(Struct, frozen=True, gc=False):
    """The limits of one trading day, each in epoch ms and each the first ms after what it ends.

    `day` is the session's ISO date. `ends_ms` is 04:00 ET of the next session's date.
    """

    day: str
    begins_ms: int
    opens_ms: int
    closes_ms: int
    after_hours_end_ms: int
    ends_ms: int


def _new_york_ms(day: date, at: time) -> int:
    return int(datetime.combine(day, at, NEW_YORK).timestamp()) * 1000


def _days_of_new_york(first: str, last: str) -> Iterator[TradingDay]:
    exchange = exchange_calendars.get_calendar("XNYS", start=first, end=last)
    dates = [stamp.date() for stamp in exchange.sessions]
    opens = (stamp.value // 1_000_000 for stamp in exchange.opens)
    closes = (stamp.value // 1_000_000 for stamp in exchange.closes)
    # The last day's successor is unknown: it ends after a day, so that no weekend is guessed.
    followers = [*dates[1:], *(day + timedelta(days=1) for day in dates[-1:])]
    for day, opened, closed, follower in zip(dates, opens, closes, followers, strict=True):
        yield TradingDay(
            day=day.isoformat(),
            begins_ms=_new_york_ms(day, DAY_BEGINS),
            opens_ms=opened,
            closes_ms=closed,
            after_hours_end_ms=_new_york_ms(day, AFTER_HOURS_END),
            ends_ms=_new_york_ms(follower, DAY_BEGINS),
        )


class TradingCalendar:
    """Trading days and sessions of one exchange, for event times in epoch ms; New York's unless days are given.

    Every question about a time or a day outside of the calendar raises `ValueError`.
    """

    def __init__(self, days: Iterable[TradingDay] | None = None) -> None:
        self._days = tuple(_days_of_new_york(FIRST_DATE, LAST_DATE) if days is None else days)
        if not self._days:
            raise ValueError("expected a calendar with at least one trading day, was an empty one")
        self._begins = [day.begins_ms for day in self._days]
        self._index = {day.day: position for position, day in enumerate(self._days)}
        self._enter(self._days[0])

    @classmethod
    def new_york(cls, first: str = FIRST_DATE, last: str = LAST_DATE) -> Self:
        """The calendar of the New York Stock Exchange between two ISO dates, both included."""
        return cls(_days_of_new_york(first, last))

    def phase(self, event_ms: int) -> tuple[str, bool]:
        """`day_of` and `opened` in one call: what a symbol's open price and the boards hang on."""
        if not self._begins_ms <= event_ms < self._ends_ms:
            self._enter(self._find(event_ms))
        return self._opened if event_ms >= self._opens_ms else self._not_opened

    def day_of(self, event_ms: int) -> str:
        """The trading day (ISO date) that a time belongs to; before 04:00 ET it is the one before."""
        return self.phase(event_ms)[0]

    def opened(self, event_ms: int) -> bool:
        """Whether the regular session of the time's trading day has begun (true to the day's end)."""
        return self.phase(event_ms)[1]

    def session_of(self, event_ms: int) -> Session | None:
        """The session at a time; None at night, at weekends and on holidays."""
        if self.phase(event_ms)[1]:
            if event_ms < self._closes_ms:
                return Session.REGULAR
            return Session.AFTER_HOURS if event_ms < self._after_hours_end_ms else None
        return Session.PRE_MARKET

    def trading_day(self, day: str) -> TradingDay:
        """The limits of a trading day (ISO date)."""
        return self._days[self._position(day)]

    def next_day(self, day: str) -> str:
        """The trading day (ISO date) after a trading day."""
        position = self._position(day) + 1
        if position == len(self._days):
            raise ValueError(f"expected a trading day before the calendar's last, {self._days[-1].day}, was {day}")
        return self._days[position].day

    def previous_day(self, day: str) -> str:
        """The trading day (ISO date) before a trading day."""
        position = self._position(day)
        if position == 0:
            raise ValueError(f"expected a trading day after the calendar's first, {self._days[0].day}, was {day}")
        return self._days[position - 1].day

    def _position(self, day: str) -> int:
        position = self._index.get(day)
        if position is None:
            first, last = self._days[0].day, self._days[-1].day
            raise ValueError(f"expected a trading day (ISO date) from {first} to {last}, was {day!r}")
        return position

    def _find(self, event_ms: int) -> TradingDay:
        position = bisect_right(self._begins, event_ms) - 1
        if position < 0 or event_ms >= self._days[position].ends_ms:
            first, last = self._days[0].day, self._days[-1].day
            raise ValueError(f"expected an event time in epoch ms from {first} to {last}, was {event_ms}")
        return self._days[position]

    def _enter(self, day: TradingDay) -> None:
        self._begins_ms = day.begins_ms
        self._opens_ms = day.opens_ms
        self._closes_ms = day.closes_ms
        self._after_hours_end_ms = day.after_hours_end_ms
        self._ends_ms = day.ends_ms
        self._not_opened = (day.day, False)
        self._opened = (day.day, True)
