"""Daily ranges against the extremes of all bars of the session, those sent again in the place of the first."""

from datetime import date

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.calendar import Session, TradingCalendar, overnight_hours
from app.market.daily_ranges import KEPT_BARS, DailyRange, RangeAlert, fold_range
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
SIX = ("pre_market", "regular_session", "after_hours")


def six(state: DailyRange | None) -> dict[str, float | None]:
    assert state is not None
    return {f"{name}_{side}": getattr(state, f"{name}_{side}") for name in SIX for side in ("high", "low")}


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
    """Of each time the bar that came last counts."""
    newest = {(bar.start_timestamp, bar.end_timestamp or bar.start_timestamp): bar for bar in of_day}
    of_session = [bar for bar in newest.values() if CALENDAR.session_of(bar.start_timestamp or 0) == session]
    known = [price for bar in of_session if (price := getattr(bar, direction))]
    return (max if direction == "high" else min)(known, default=None)


def naive(of_day: list[Aggregate]) -> dict[str, float | None]:
    return {
        f"{NAMES[name]}_{direction}": extremes(of_day, name, direction)
        for name in map(Session, NAMES)
        for direction in ("high", "low")
    }


@settings(max_examples=300)
@given(st.lists(bars, max_size=20, unique_by=lambda bar: (bar.start_timestamp, bar.end_timestamp)))
def test_ranges_and_alerts_are_those_of_all_bars_of_the_session(sequence: list[Aggregate]) -> None:
    state: DailyRange | None = None
    of_day: list[Aggregate] = []
    day, newest_ms = "", 0
    for bar in sequence:
        at_ms, end_ms = bar.start_timestamp or 0, bar.end_timestamp or bar.start_timestamp or 0
        bar_day, session = CALENDAR.day_of(at_ms), CALENDAR.session_of(at_ms)
        expected = []
        if bar_day > day:
            day, of_day, newest_ms = bar_day, [], 0
        if bar_day == day and session is not None:
            for direction, price in (("high", bar.high), ("low", bar.low)):
                before = extremes(of_day, session, direction)
                if not price or before is None or not (price > before if direction == "high" else price < before):
                    continue
                note = expected_note(of_day, session, direction, price)
                late = end_ms < newest_ms
                expected.append(RangeAlert("ABC", session, direction, price, before, end_ms / 1000, note, late))
            of_day.append(bar)
        state, alerts = fold_range(state, bar, CALENDAR)
        # Times are this far apart, or equal: of a newest time that is kept in steps nothing is lost.
        newest_ms = state.newest_ms
        assert alerts == expected
        assert (state.symbol, state.day) == ("ABC", day)
        assert six(state) == naive(of_day)


@st.composite
def sent_again(draw: st.DrawFn) -> list[Aggregate]:
    """Bars second by second over an open, some of them sent again within 15 minutes with other prices or none."""
    start_ms = DAYS[0].opens_ms - draw(st.integers(0, 20)) * 1000
    found: list[Aggregate] = []
    for second in range(draw(st.integers(1, 20))):
        price = draw(st.integers(1, 30).map(float))
        found.append(bar_of(start_ms + second * 1000, price, price, ended=True))
        if draw(st.booleans()):
            # The bar that reaches furthest is the one whose being taken back is seen.
            reach = draw(st.sampled_from([max, min]))(found, key=lambda bar: bar.high or 0.0)
            again = draw(st.sampled_from([reach, *found[-2:]]))
            price = draw(st.integers(1, 30).map(float))
            found.append(bar_of(again.start_timestamp or 0, price, price, ended=True))
    return found


@settings(max_examples=300)
@given(sent_again())
def test_an_extreme_that_is_taken_back_falls_to_the_next_bar_s(sequence: list[Aggregate]) -> None:
    """Always while no more than the kept bars were taken back; and never behind a price that nobody took back."""
    state: DailyRange | None = None
    seen: list[Aggregate] = []
    taken_back = 0
    for bar in sequence:
        taken_back += any(bar.start_timestamp == before.start_timestamp for before in seen)
        seen.append(bar)
        state, _ = fold_range(state, bar, CALENDAR)
        state = msgspec.json.decode(msgspec.json.encode(state), type=DailyRange)
        for name, price in naive(seen).items():
            found = getattr(state, name)
            if taken_back < KEPT_BARS:
                assert found == price
            elif price is not None:
                assert found is not None
                assert found >= price if name.endswith("high") else found <= price
        assert all(len(kept) <= KEPT_BARS for kept in state.kept.values())


def test_a_bar_s_price_is_settled_after_15_minutes() -> None:
    """Whoever takes it back later changes nothing: the vendor does not."""
    at_ms = DAYS[0].opens_ms
    state: DailyRange | None = None
    for second, price in ((0, 12.0), (1, 10.0), (901, 11.0), (902, 12.5), (0, 9.0), (902, 9.5)):
        state, _ = fold_range(state, bar_of(at_ms + second * 1000, price, price, ended=True), CALENDAR)
    assert state is not None
    assert (state.regular_session_high, state.regular_session_low) == (12.0, 9.0)
    assert state.floors == {"regular_session_high": 12.0, "regular_session_low": 9.0}


def test_rows_change_every_thirty_seconds_while_no_extreme_does() -> None:
    state, _ = fold_range(None, bar_of(MOMENTS[0], 10.0, 10.0, ended=True), CALENDAR)
    changes = 0
    for second in range(1, 61):
        before = state
        state, _ = fold_range(before, bar_of(MOMENTS[0] + second * 1000, 10.0, 10.0, ended=True), CALENDAR)
        changes += state != before
    assert changes <= 2 + KEPT_BARS


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
    assert (six(state), state.day, alerts) == (dict.fromkeys(six(state)), "2013-10-10", [])
