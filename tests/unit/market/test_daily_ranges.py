"""Daily ranges against the extremes of all bars of the session."""

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.calendar import Session, TradingCalendar, overnight_hours
from app.market.daily_ranges import DailyRange, RangeAlert, fold_range
from app.market.events import Aggregate

CALENDAR = TradingCalendar.new_york()
DAYS = [CALENDAR.trading_day(day) for day in ("2013-10-09", "2013-10-10", "2013-11-29")]
MOMENTS = [
    at + step
    for day in DAYS
    for at in (day.begins_ms, day.opens_ms, day.closes_ms, day.after_hours_end_ms)
    for step in (-1000, 0)
][1:]
prices = st.none() | st.integers(0, 12).map(float)


def bar_of(at_ms: int, high: float | None, low: float | None, ended: bool) -> Aggregate:
    end_ms = at_ms + 1000 if ended else None
    return Aggregate("ABC", high=high, low=low, start_timestamp=at_ms, end_timestamp=end_ms)


bars = st.builds(bar_of, st.sampled_from(MOMENTS), prices, prices, st.booleans())
NAMES = {"pre_market": "pre_market", "regular": "regular_session", "after_hours": "after_hours"}


def expected_note(of_day: list[Aggregate], session: Session, direction: str, price: float) -> str:
    checks = {"pre_market": [], "regular": ["pre_market"], "after_hours": ["regular", "pre_market"]}[session]
    for earlier in checks:
        seen = extremes(of_day, Session(earlier), direction)
        if seen is not None and (price > seen if direction == "high" else price < seen):
            spoken = "pre-market" if earlier == "pre_market" else "regular session"
            return f"Broke {spoken} {direction} of ${seen:.{2 if seen >= 1 else 4}f}"
    return ""


def extremes(of_day: list[Aggregate], session: Session, direction: str) -> float | None:
    found = [getattr(bar, direction) for bar in of_day if CALENDAR.session_of(bar.start_timestamp or 0) == session]
    known = [price for price in found if price is not None]
    return (max if direction == "high" else min)(known, default=None)


@settings(max_examples=300)
@given(st.lists(bars, max_size=20))
def test_ranges_and_alerts_are_those_of_all_bars_of_the_session(sequence: list[Aggregate]) -> None:
    state: DailyRange | None = None
    of_day: list[Aggregate] = []
    day = ""
    for bar in sequence:
        at_ms = bar.start_timestamp or 0
        bar_day, session = CALENDAR.day_of(at_ms), CALENDAR.session_of(at_ms)
        expected = []
        if bar_day > day:
            day, of_day = bar_day, []
        if bar_day == day and session is not None:
            for direction, price in (("high", bar.high), ("low", bar.low)):
                before = extremes(of_day, session, direction)
                if price is None or before is None or not (price > before if direction == "high" else price < before):
                    continue
                note = expected_note(of_day, session, direction, price)
                stamp_s = (bar.end_timestamp or at_ms) / 1000
                expected.append(RangeAlert("ABC", session, direction, price, before, stamp_s, note))
            of_day.append(bar)
        state, alerts = fold_range(state, bar, CALENDAR)
        assert alerts == expected
        assert state == DailyRange(
            "ABC",
            day,
            **{
                f"{NAMES[name]}_{direction}": extremes(of_day, name, direction)
                for name in map(Session, NAMES)
                for direction in ("high", "low")
            },
        )


def test_a_broken_pre_market_high_is_said_in_words() -> None:
    day = DAYS[0]
    state: DailyRange | None = None
    notes = []
    for at_ms, high in ((day.begins_ms, 15.0), (day.opens_ms, 14.0), (day.opens_ms, 14.5), (day.opens_ms, 15.01)):
        state, alerts = fold_range(state, Aggregate("ABC", high=high, start_timestamp=at_ms), CALENDAR)
        notes.append([alert.note for alert in alerts])
    assert notes == [[], [], [""], ["Broke pre-market high of $15.00"]]


def test_a_level_under_a_dollar_is_said_with_the_digits_that_it_needs() -> None:
    day = DAYS[0]
    state, _ = fold_range(None, Aggregate("ABC", low=0.0475, start_timestamp=day.begins_ms), CALENDAR)
    state, _ = fold_range(state, Aggregate("ABC", low=0.0480, start_timestamp=day.opens_ms), CALENDAR)
    _, alerts = fold_range(state, Aggregate("ABC", low=0.0466, start_timestamp=day.opens_ms), CALENDAR)
    assert [alert.note for alert in alerts] == ["Broke pre-market low of $0.0475"]


def test_a_night_begins_the_day_and_sets_none_of_its_six_extremes() -> None:
    calendar = TradingCalendar.new_york(hours=overnight_hours(date(2013, 10, 10)))
    night_ms = calendar.trading_day("2013-10-10").begins_ms
    state, alerts = fold_range(None, Aggregate("ABC", high=15.0, low=14.0, start_timestamp=night_ms), calendar)
    assert (state, alerts) == (DailyRange("ABC", "2013-10-10"), [])
