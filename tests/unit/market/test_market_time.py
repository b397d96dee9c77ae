"""The session that is shown comes from the clock and the calendar, and of a replay from what is replayed."""

from datetime import datetime

import pytest

from app.market.calendar import NEW_YORK, TradingCalendar
from app.market.market_time import market_moment, market_ms

CALENDAR = TradingCalendar.new_york()


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)


NOW = at("2026-11-27 22:00")


@pytest.mark.parametrize(
    ("event_ms", "received_ms", "expected"),
    [
        pytest.param(None, None, NOW, id="nothing-was-received"),
        pytest.param(at("2026-11-27 16:59:59"), at("2026-11-27 17:00"), NOW, id="silence-since-the-close"),
        pytest.param(at("2026-11-27 16:45"), at("2026-11-27 17:00"), NOW, id="delayed-plan"),
        pytest.param(at("2013-10-09 10:00"), at("2026-11-27 21:59"), at("2013-10-09 10:01"), id="replay"),
        pytest.param(
            at("2026-11-30 10:00"), at("2026-11-27 22:00:01"), at("2026-11-30 10:00"), id="clock-a-little-behind"
        ),
        pytest.param(at("2026-11-27 10:00"), None, NOW, id="rows-without-a-receipt"),
    ],
)
def test_the_market_s_time_is_the_machine_s_unless_rows_are_of_another_time(
    event_ms: int | None, received_ms: int | None, expected: int
) -> None:
    assert market_ms(NOW, event_ms, received_ms) == expected


@pytest.mark.parametrize(
    ("when", "session", "opens"),
    [
        pytest.param("2026-11-27 10:00", "regular", None, id="open"),
        pytest.param("2026-11-27 03:00", None, "2026-11-27 04:00", id="before-the-day"),
        pytest.param("2026-11-27 17:00", None, "2026-11-30 04:00", id="half-day-before-a-weekend"),
        pytest.param("2026-11-26 12:00", None, "2026-11-27 04:00", id="thanksgiving"),
        pytest.param("2040-12-31 21:00", None, None, id="the-calendar-s-last-night"),
    ],
)
def test_a_closed_market_says_when_it_opens(when: str, session: str | None, opens: str | None) -> None:
    found = market_moment(CALENDAR, at(when))
    assert found is not None
    assert (found.session, found.opens_ms) == (session, None if opens is None else at(opens))


def test_a_time_outside_of_the_calendar_has_no_session() -> None:
    assert market_moment(CALENDAR, 0) is None
