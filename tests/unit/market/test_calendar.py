"""The trading calendar against known days and against the exchange calendar itself."""

import json
import subprocess
import sys
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import clock
from app.errors import SettingsError
from app.market.calendar import EXCHANGE_DAYS, Session, TradingCalendar, overnight_hours
from app.settings import Settings
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
        pytest.param("2026-11-27 16:59:59.999", "2026-11-27", "after_hours", True, id="half-day-last-ms"),
        pytest.param("2026-11-27 17:00:00.000", "2026-11-27", None, True, id="half-day-ends-at-17"),
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
    begun = local.date() if local.hour >= 4 else local.date() - timedelta(days=1)
    session_date = EXCHANGE.date_to_session(begun.isoformat(), direction="previous")
    assert CALENDAR.day_of(event_ms) == session_date.date().isoformat()
    minutes = local.hour * 60 + local.minute
    close = EXCHANGE.session_close(session_date).tz_convert("America/New_York")
    expected = None
    at_close = close.hour * 60 + close.minute
    if EXCHANGE.is_session(local.date().isoformat()) and 240 <= minutes < at_close + 240:
        after_open = Session.REGULAR if minutes < at_close else Session.AFTER_HOURS
        expected = Session.PRE_MARKET if minutes < 570 else after_open
    assert CALENDAR.session_of(event_ms) == expected


#: Trade dates from Monday 2026-12-07 begin at 20:00 of the evening before.
OVERNIGHT = TradingCalendar.new_york(hours=overnight_hours(date(2026, 12, 7)))


@pytest.mark.parametrize(
    ("when", "day", "session"),
    [
        pytest.param("2026-12-04 20:00:00.000", "2026-12-04", None, id="the-last-night-without"),
        pytest.param("2026-12-06 19:59:59.999", "2026-12-04", None, id="sunday-before"),
        pytest.param("2026-12-06 20:00:00.000", "2026-12-07", "overnight", id="first-sunday-evening-is-monday"),
        pytest.param("2026-12-07 03:59:59.999", "2026-12-07", "overnight", id="night"),
        pytest.param("2026-12-07 04:00:00.000", "2026-12-07", "pre_market", id="pre-market-as-before"),
        pytest.param("2026-12-07 19:59:59.999", "2026-12-07", "after_hours", id="after-hours-as-before"),
        pytest.param("2026-12-07 20:00:00.000", "2026-12-08", "overnight", id="the-next-trade-date"),
        pytest.param("2026-12-11 20:00:00.000", "2026-12-11", None, id="friday-evening-is-friday"),
        pytest.param("2026-12-24 18:00:00.000", "2026-12-24", None, id="half-day-ended-at-17"),
        pytest.param("2026-12-27 20:00:00.000", "2026-12-28", "overnight", id="sunday-after-christmas"),
        pytest.param("2026-12-02 23:00:00.000", "2026-12-02", None, id="before-the-row-holds"),
    ],
)
def test_an_overnight_session_is_a_row_of_the_table(when: str, day: str, session: str | None) -> None:
    assert (OVERNIGHT.day_of(at(when)), OVERNIGHT.session_of(at(when))) == (day, session)
    assert OVERNIGHT.opened(at(when)) == (session not in ("overnight", "pre_market"))


@given(st.integers(at("2003-01-02 04:00"), at("2040-12-31 19:59")))
def test_days_follow_each_other_without_a_hole_with_and_without_nights(event_ms: int) -> None:
    for calendar in (CALENDAR, OVERNIGHT):
        day = calendar.trading_day(calendar.day_of(event_ms))
        assert day.begins_ms <= event_ms < day.ends_ms
        assert day.begins_ms <= day.pre_market_ms < day.opens_ms < day.closes_ms < day.after_hours_end_ms <= day.ends_ms
        if day.day != "2040-12-31":
            assert calendar.trading_day(calendar.next_day(day.day)).begins_ms == day.ends_ms


def test_a_table_of_hours_that_begins_too_late_is_an_error() -> None:
    with pytest.raises(
        ValueError, match="expected hours from 2003-01-02 or before, the first row holds from 2026-12-07"
    ):
        TradingCalendar.new_york(hours=overnight_hours(date(2026, 12, 7))[1:])


def test_the_night_s_first_day_is_a_setting_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock.trading_calendar().session_of(at("2026-12-06 22:00")) is None
    monkeypatch.setenv("TAPEREADER_OVERNIGHT_FROM", "2026-12-07")
    assert Settings.load().overnight_from == date(2026, 12, 7)
    assert clock.trading_calendar().session_of(at("2026-12-06 22:00")) is Session.OVERNIGHT
    monkeypatch.setenv("TAPEREADER_OVERNIGHT_FROM", "december")
    with pytest.raises(SettingsError, match="TAPEREADER_OVERNIGHT_FROM"):
        Settings.load()


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
