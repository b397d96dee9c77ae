"""The trading calendar as integers: which trading day and which session an event belongs to.

Built once from the exchange's days in `exchange_days.json`, then asked for every event. The file is written
from exchange_calendars (`make calendar`), and a test compares the two: the library itself brings pandas,
1.3 s and 60 MB in each process. A feed is nearly in time order,
so the current day's limits are kept as plain integers and only a day change searches for new ones.

A trading day runs from 04:00 US/Eastern of one session date to 04:00 of the next one, so that
nights, weekends and holidays belong to the trading day before them. These hours are a row of a table with the
date from which they hold; a night session, whose trade date begins on the evening before, is a further row.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

NEW_YORK = ZoneInfo("America/New_York")

#: Holidays beyond what the exchange has announced follow its present rules.
EXCHANGE_DAYS: Final = Path(__file__).with_name("exchange_days.json")
_OPENS, _CLOSES = time(9, 30), time(16)


class Session(StrEnum):
    """The sessions of a trading day; `OVERNIGHT` only where the hours of the day have one."""

    OVERNIGHT = "overnight"
    PRE_MARKET = "pre_market"
    REGULAR = "regular"
    AFTER_HOURS = "after_hours"


class SessionHours(Struct, frozen=True):
    """The limits of the sessions of trading days from `from_day` on, as wall times of New York.

    A day that begins later than its pre-market begins on the evening of the calendar day before, with an overnight
    session until then. Extended trading ends earlier on days with an early close: the exchanges' late sessions
    are as long as on others, four hours from 13:00 (Nasdaq's and NYSE's holiday schedules).
    """

    from_day: date
    begins: time = time(4)
    pre_market: time = time(4)
    after_hours_end: time = time(20)
    short_day_end: time = time(17)


#: The hours since before the first day of the calendar.
HOURS: Final = (SessionHours(date(2003, 1, 1)),)


def overnight_hours(from_day: date, begins: time = time(20)) -> tuple[SessionHours, ...]:
    """The table of hours with a night session from a trading day (its trade date) on, on the evening before it.

    The securities information processors filed for 21:00 of Sunday to 20:00 of Friday with an hour's pause each
    evening; venues that trade at night begin at 20:00. No trade falls into the pause, so that 20:00 fits both.
    """
    return (*HOURS, SessionHours(from_day, begins=begins))


class TradingDay(Struct, frozen=True, gc=False):
    """The limits of one trading day, each in epoch ms and each the first ms after what it ends.

    `day` is the session's ISO date. `begins_ms` is also `pre_market_ms` where there is no overnight session.
    `ends_ms` is where the next trading day begins.
    """

    day: str
    begins_ms: int
    pre_market_ms: int
    opens_ms: int
    closes_ms: int
    after_hours_end_ms: int
    ends_ms: int


def _new_york_ms(day: date, at: time) -> int:
    return int(datetime.combine(day, at, NEW_YORK).timestamp()) * 1000


class _ExchangeDays(Struct, frozen=True):
    """What is not an ordinary weekday from `first` to `last`: days closed, and closing times of short days."""

    first: date
    last: date
    closed: frozenset[date]
    early_closes: dict[date, str]

    def sessions(self) -> Iterator[date]:
        days = (self.first + timedelta(number) for number in range((self.last - self.first).days + 1))
        return (day for day in days if day.weekday() < 5 and day not in self.closed)

    def closes(self, day: date) -> time:
        early = self.early_closes.get(day)
        return _CLOSES if early is None else time.fromisoformat(early)


def _days_of_new_york(hours: Sequence[SessionHours]) -> Iterator[TradingDay]:
    exchange = msgspec.json.decode(EXCHANGE_DAYS.read_bytes(), type=_ExchangeDays)
    rows = sorted(hours, key=lambda row: row.from_day)
    dates = list(exchange.sessions())
    begins = [_begins_ms(day, _hours_of(day, rows)) for day in dates]
    # The last day's successor is unknown: it ends after a day, so that no weekend is guessed.
    ends = [*begins[1:], _begins_ms(dates[-1] + timedelta(days=1), rows[-1])]
    for day, begins_ms, ends_ms in zip(dates, begins, ends, strict=True):
        row, closes = _hours_of(day, rows), exchange.closes(day)
        yield TradingDay(
            day=day.isoformat(),
            begins_ms=begins_ms,
            pre_market_ms=_new_york_ms(day, row.pre_market),
            opens_ms=_new_york_ms(day, _OPENS),
            closes_ms=_new_york_ms(day, closes),
            after_hours_end_ms=_new_york_ms(day, row.short_day_end if closes < _CLOSES else row.after_hours_end),
            ends_ms=ends_ms,
        )


def _hours_of(day: date, rows: Sequence[SessionHours]) -> SessionHours:
    position = bisect_right(rows, day, key=lambda row: row.from_day) - 1
    if position < 0:
        raise ValueError(f"expected hours from {day} or before, the first row holds from {rows[0].from_day}")
    return rows[position]


def _begins_ms(day: date, row: SessionHours) -> int:
    evening_before = row.begins > row.pre_market
    return _new_york_ms(day - timedelta(days=1) if evening_before else day, row.begins)


class TradingCalendar:
    """Trading days and sessions of one exchange, for event times in epoch ms; New York's unless days are given.

    Every question about a time or a day outside of the calendar raises `ValueError`.
    """

    def __init__(self, days: Iterable[TradingDay] | None = None) -> None:
        self._days = tuple(_days_of_new_york(HOURS) if days is None else days)
        if not self._days:
            raise ValueError("expected a calendar with at least one trading day, was an empty one")
        self._begins = [day.begins_ms for day in self._days]
        self._index = {day.day: position for position, day in enumerate(self._days)}
        self._enter(self._days[0])

    @classmethod
    def new_york(cls, first: str = "", last: str = "9999", *, hours: Sequence[SessionHours] = HOURS) -> Self:
        """The calendar of the New York Stock Exchange, 2003 to 2040 or between two ISO dates, both included.

        `hours` is the table of sessions. Raises `ValueError`: no row of it holds for the first days.
        """
        return cls(day for day in _days_of_new_york(hours) if first <= day.day <= last)

    def phase(self, event_ms: int) -> tuple[str, bool]:
        """`day_of` and `opened` in one call: what a symbol's open price and the boards hang on."""
        if not self._begins_ms <= event_ms < self._ends_ms:
            self._enter(self._find(event_ms))
        return self._opened if event_ms >= self._opens_ms else self._not_opened

    def day_of(self, event_ms: int) -> str:
        """The trading day (ISO date) that a time belongs to; before it begins (04:00 ET) it is the one before."""
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
        return Session.PRE_MARKET if event_ms >= self._pre_market_ms else Session.OVERNIGHT

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

    def days_before(self, day: str, count: int) -> str:
        """The trading day (ISO date) so many before a trading day; the calendar's first where it begins later."""
        return self._days[max(0, self._position(day) - count)].day

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
        self._pre_market_ms = day.pre_market_ms
        self._opens_ms = day.opens_ms
        self._closes_ms = day.closes_ms
        self._after_hours_end_ms = day.after_hours_end_ms
        self._ends_ms = day.ends_ms
        self._not_opened = (day.day, False)
        self._opened = (day.day, True)
