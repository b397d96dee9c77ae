"""The trading calendar against known days and against the exchange calendar itself."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.calendar import EXCHANGE_DAYS, Session, TradingCalendar
from tests.exchange_days import exchange_days

NEW_YORK = ZoneInfo("America/New_York")
CALENDAR = TradingCalendar.new_york()
EXCHANGE = exchange_calendars.get_calendar("XNYS", start="2003-01-01", end="2040-12-31")


def at(text: str) -> int:
    """Epoch ms of a New York wall time, `2013-10-09 09:30:00.000`."""
    return round(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)


@pytest.mark.parametrize(
    ("when", "day", "session", "opened"),
    [
        pytest.param("2013-10-09 03:59:59.999", "2013-10-08", None, True, id="before-4-is-the-day-before"),
        pytest.param("2013-10-09 04:00:00.000", "2013-10-09", "pre_market", False, id="day-begins-at-4"),
        pytest.param("2013-10-09 09:29:59.999", "2013-10-09", "pre_market", False, id="last-ms-of-pre-market"),
        pytest.param("2013-10-09 09:30:00.000", "2013-10-09", "regular", True, id="open"),
        pytest.param("2013-10-09 15:59:59.999", "2013-10-09", "regular", True, id="last-ms-of-regular"),
        pytest.param("2013-10-09 16:00:00.000", "2013-10-09", "after_hours", True, id="close"),
        pytest.param("2013-10-09 19:59:59.999", "2013-10-09", "after_hours", True, id="last-ms-of-after-hours"),
        pytest.param("2013-10-09 20:00:00.000", "2013-10-09", None, True, id="night"),
        pytest.param("2013-11-29 12:59:59.999", "2013-11-29", "regular", True, id="early-close-2013-before"),
        pytest.param("2013-11-29 13:00:00.000", "2013-11-29", "after_hours", True, id="early-close-2013"),
        pytest.param("2026-11-27 13:00:00.000", "2026-11-27", "after_hours", True, id="early-close-2026"),
        pytest.param("2026-12-24 12:59:00.000", "2026-12-24", "regular", True, id="christmas-eve-2026"),
        pytest.param("2026-11-26 10:00:00.000", "2026-11-25", None, True, id="thanksgiving"),
        pytest.param("2026-11-21 10:00:00.000", "2026-11-20", None, True, id="saturday"),
        pytest.param("2026-11-22 23:59:00.000", "2026-11-20", None, True, id="sunday"),
        pytest.param("2026-11-23 03:59:59.999", "2026-11-20", None, True, id="monday-before-4"),
        pytest.param("2012-10-29 11:00:00.000", "2012-10-26", None, True, id="closed-for-the-hurricane"),
        pytest.param("2026-03-06 09:30:00.000", "2026-03-06", "regular", True, id="friday-before-spring-change"),
        pytest.param("2026-03-09 04:00:00.000", "2026-03-09", "pre_market", False, id="monday-after-spring-change"),
        pytest.param("2026-03-09 09:29:59.999", "2026-03-09", "pre_market", False, id="spring-still-closed"),
        pytest.param("2026-03-09 09:30:00.000", "2026-03-09", "regular", True, id="spring-open"),
        pytest.param("2026-11-02 03:59:59.999", "2026-10-30", None, True, id="autumn-before-4"),
        pytest.param("2026-11-02 19:59:59.999", "2026-11-02", "after_hours", True, id="autumn-after-hours"),
        pytest.param("2040-12-31 12:00:00.000", "2040-12-31", "regular", True, id="last-day"),
    ],
)
def test_a_time_belongs_to_one_day_and_session(when: str, day: str, session: str | None, opened: bool) -> None:
    calendar = CALENDAR
    assert (calendar.day_of(at(when)), calendar.session_of(at(when)), calendar.opened(at(when))) == (
        day,
        session,
        opened,
    )


@settings(max_examples=500)
@given(st.lists(st.integers(at("2003-01-02 04:00"), at("2040-12-31 23:59")), min_size=1, max_size=8))
def test_the_cached_day_never_changes_an_answer(times: list[int]) -> None:
    for event_ms in times:
        fresh = TradingCalendar([*CALENDAR._days])
        assert CALENDAR.phase(event_ms) == fresh.phase(event_ms)
        assert CALENDAR.session_of(event_ms) == fresh.session_of(event_ms)


@given(st.integers(at("2003-01-02 04:00"), at("2040-12-31 23:59")))
def test_the_rules_as_written_give_the_same_answers(event_ms: int) -> None:
    local = datetime.fromtimestamp(event_ms / 1000, NEW_YORK)
    date = local.date() if local.hour >= 4 else local.date() - timedelta(days=1)
    session_date = EXCHANGE.date_to_session(date.isoformat(), direction="previous")
    assert CALENDAR.day_of(event_ms) == session_date.date().isoformat()
    minutes = local.hour * 60 + local.minute
    close = EXCHANGE.session_close(session_date).tz_convert("America/New_York")
    expected = None
    if EXCHANGE.is_session(local.date().isoformat()) and 240 <= minutes < 1200:
        at_close = close.hour * 60 + close.minute
        after_open = Session.REGULAR if minutes < at_close else Session.AFTER_HOURS
        expected = Session.PRE_MARKET if minutes < 570 else after_open
    assert CALENDAR.session_of(event_ms) == expected


@pytest.mark.parametrize(
    ("day", "follower"),
    [
        ("2013-10-09", "2013-10-10"),
        ("2013-10-11", "2013-10-14"),
        ("2026-11-25", "2026-11-27"),
        ("2025-12-31", "2026-01-02"),
    ],
)
def test_next_and_previous_day_skip_what_is_no_session(day: str, follower: str) -> None:
    assert CALENDAR.next_day(day) == follower
    assert CALENDAR.previous_day(follower) == day


@pytest.mark.parametrize("event_ms", [0, -1, at("2041-01-01 04:00"), 1_700_000_000, 1_700_000_000_000_000_000])
def test_a_time_outside_of_the_calendar_is_an_error_that_names_its_ends(event_ms: int) -> None:
    before = CALENDAR.phase(at("2013-10-09 10:00"))
    with pytest.raises(ValueError, match=f"from 2003-01-02 to 2040-12-31, was {event_ms}"):
        CALENDAR.day_of(event_ms)
    assert CALENDAR.phase(at("2013-10-09 10:00")) == before


def test_days_outside_of_the_calendar_are_errors() -> None:
    with pytest.raises(ValueError, match="was '2026-11-26'"):
        CALENDAR.next_day("2026-11-26")
    with pytest.raises(ValueError, match="before the calendar's last"):
        CALENDAR.next_day("2040-12-31")
    with pytest.raises(ValueError, match="after the calendar's first"):
        CALENDAR.previous_day("2003-01-02")
    with pytest.raises(ValueError, match="at least one trading day"):
        TradingCalendar([])


def test_the_exchanges_days_are_those_of_the_library() -> None:
    """What differs is written by `make calendar`; the source names the version that it was written from."""
    kept = json.loads(EXCHANGE_DAYS.read_text(encoding="utf-8"))
    fresh = exchange_days()
    assert {**kept, "source": None} == {**fresh, "source": None}


def test_every_session_of_the_library_is_there_with_its_times() -> None:
    for session, opens, closes in zip(EXCHANGE.sessions, EXCHANGE.opens, EXCHANGE.closes, strict=True):
        day = CALENDAR.trading_day(session.date().isoformat())
        assert (day.opens_ms, day.closes_ms) == (opens.value // 1_000_000, closes.value // 1_000_000)
    assert len(EXCHANGE.sessions) == len(CALENDAR._days)


def test_the_calendar_needs_no_pandas() -> None:
    """Each process would carry 60 MB of it."""
    script = "import sys, app.market.calendar as c; c.TradingCalendar(); assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=50)
