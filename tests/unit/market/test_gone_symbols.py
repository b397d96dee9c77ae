"""Rows leave ten trading days after a symbol's last event, by the days of the market."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.calendar import TradingCalendar
from app.market.gone_symbols import KEPT_TRADING_DAYS, gone

CALENDAR = TradingCalendar.new_york("2013-09-03", "2013-12-31")


def trading_days() -> list[str]:
    """The calendar's days of September and October."""
    found, day = [], "2013-09-03"
    while day < "2013-11-01":
        found.append(day)
        day = CALENDAR.next_day(day)
    return found


TRADING = trading_days()


@given(st.dictionaries(st.text("ABCDEF", min_size=1, max_size=3), st.sampled_from(TRADING)), st.sampled_from(TRADING))
def test_whoever_has_traded_within_ten_trading_days_stays(rows: dict[str, str], today: str) -> None:
    """Holidays and weekends count for nothing; days and times of the same day say the same."""
    found = gone(rows.items(), today, CALENDAR)
    times = {symbol: CALENDAR.trading_day(day).opens_ms for symbol, day in rows.items()}

    assert found.keys() == {
        symbol for symbol, day in rows.items() if TRADING.index(today) - TRADING.index(day) > KEPT_TRADING_DAYS
    }
    assert gone(times.items(), today, CALENDAR) == found
    assert set(found.values()) <= {None}


@pytest.mark.parametrize("today", [None, "", "2013-10-05", "1999-01-04", "never"])
def test_while_the_day_is_not_known_nobody_is_gone(today: str | None) -> None:
    """Nor on a day that is no trading day: an agreed one always is."""
    assert gone([("A", "2013-09-03")], today, CALENDAR) == {}


@pytest.mark.parametrize("day", ["", "2013-09-07", "never", 0, -1, 10**18])
def test_a_row_of_no_trading_day_stays(day: str | int) -> None:
    """Nobody can tell how old it is."""
    assert gone([("A", day), ("B", "2013-09-03")], "2013-10-31", CALENDAR) == {"B": None}
