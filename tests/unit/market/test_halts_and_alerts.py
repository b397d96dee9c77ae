"""Halts and alerts: the newest event decides, and what is raised is raised once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.alerts import AlertKind, AlertRules, cool_down, halt_alerts, range_alerts, threshold_alerts
from app.market.calendar import Session, TradingCalendar
from app.market.daily_ranges import RangeAlert
from app.market.events import LimitUpLimitDown
from app.market.halts import HaltCodes, HaltState, after_its_day, fold_halt
from app.market.rows import QuoteRow

CODES = HaltCodes({1: "volatility", 2: "news"}, frozenset({9}))
CALENDAR = TradingCalendar()
BASE_MS = 1_601_316_752_000


def luld(step: int, *indicators: int, upper: float | None = None) -> LimitUpLimitDown:
    return LimitUpLimitDown("ABC", upper, None, list(indicators), 3, BASE_MS + step, step)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([(), (1,), (2,), (9,), (21,)])), max_size=15))
def test_a_symbol_is_halted_from_its_first_halting_event_to_the_next_resumption(
    steps: list[tuple[int, tuple[int, ...]]],
) -> None:
    state: HaltState | None = None
    newest, since = -1, None
    alerts, expected = [], []
    for step, indicators in steps:
        after = fold_halt(state, luld(step, *indicators), CODES, CALENDAR)
        if step < newest:
            assert after is None
            continue
        newest = step
        if since is None and set(indicators) & {1, 2}:
            since = BASE_MS + step
            expected.append((AlertKind.HALT, since))
        elif since is not None and 9 in indicators:
            since = None
            expected.append((AlertKind.RESUMPTION, BASE_MS + step))
        assert after is not None
        assert after.halted_since == since
        alerts += [(alert.kind, alert.timestamp) for alert in halt_alerts(state, after)]
        state = after
    assert alerts == expected


#: As the vendor's monitor of halts shows them (ns on the wire): AFJK, listed at Nasdaq, halts and reopens.
AFJK_NS = 1_765_380_632_000_000_000  # 2025-12-10 10:30:32 ET


def afjk(second: int, indicator: int, high: float = 0.0, low: float = 0.0, tape: int = 3) -> LimitUpLimitDown:
    return LimitUpLimitDown("AFJK", high, low, [indicator], tape, AFJK_NS + second * 10**9, second)


def folded(*events: LimitUpLimitDown) -> HaltState:
    state: HaltState | None = None
    for event in events:
        state = fold_halt(state, event, HaltCodes(), CALENDAR) or state
    assert state is not None
    return state


def test_17_halts_and_18_reopens_by_default() -> None:
    before = folded(afjk(0, 16, 12.10, 9.90))
    halted = folded(afjk(0, 16, 12.10, 9.90), afjk(5, 17))
    reopened = folded(afjk(0, 16, 12.10, 9.90), afjk(5, 17), afjk(305, 18, 13.00, 10.60))
    assert before.halted_since is None
    assert (halted.halted_since, halted.reason) == (AFJK_NS // 10**6 + 5000, "trading halt or pause")
    assert (reopened.halted_since, reopened.resumed_at) == (None, AFJK_NS // 10**6 + 305_000)
    kinds = [alert.kind for pair in ((before, halted), (halted, reopened)) for alert in halt_alerts(*pair)]
    assert kinds == [AlertKind.HALT, AlertKind.RESUMPTION]


@pytest.mark.parametrize("indicator", [15, 16, 19, 21, 22])
def test_the_vendors_other_indicators_neither_halt_nor_reopen(indicator: int) -> None:
    assert folded(afjk(0, indicator, 12.10, 9.90)).halted_since is None
    assert folded(afjk(0, 17), afjk(1, indicator, 12.10, 9.90)).halted_since == AFJK_NS // 10**6


def test_bands_of_zero_are_not_known_and_the_last_ones_stay() -> None:
    halted = folded(afjk(0, 16, 12.10, 9.90), afjk(5, 17))
    assert (halted.upper_band, halted.lower_band) == (12.10, 9.90)
    unknown = folded(afjk(5, 17))
    assert (unknown.upper_band, unknown.lower_band) == (None, None)


def test_a_halt_and_its_bands_end_with_their_trading_day() -> None:
    night_s = 17 * 3600  # 03:30 ET of the next day: still the day of the halt
    assert folded(afjk(5, 17), afjk(night_s, 16)).halted_since == AFJK_NS // 10**6 + 5000
    next_day = folded(afjk(0, 16, 12.10, 9.90), afjk(5, 17), afjk(23 * 3600, 16))
    assert (next_day.day, next_day.halted_since, next_day.reason) == ("2025-12-11", None, None)
    assert (next_day.upper_band, next_day.lower_band) == (None, None)


def test_a_halt_that_nothing_followed_is_over_on_the_next_day() -> None:
    halted = folded(afjk(0, 16, 12.10, 9.90), afjk(5, 17))
    assert after_its_day(halted, "2025-12-10", "2025-12-11") is None
    over = after_its_day(halted, "2025-12-11", "2025-12-12")
    assert over is not None
    assert (over.day, over.halted_since, over.resumed_at, over.timestamp) == (
        "2025-12-10",
        None,
        None,
        halted.timestamp,
    )
    assert list(halt_alerts(halted, over)) == []
    assert after_its_day(over, "2025-12-11", "2025-12-12") is None


@pytest.mark.parametrize(("tape", "told"), [(1, False), (2, False), (3, True), (None, None), (0, None)])
def test_halts_are_told_of_nasdaq_listed_symbols_only(tape: int, told: bool | None) -> None:
    assert folded(afjk(0, 16, 12.10, 9.90, tape)).halts_told is told


def test_the_tape_is_kept_where_an_event_does_not_say_it() -> None:
    state = folded(afjk(0, 16, 12.10, 9.90), LimitUpLimitDown("AFJK", timestamp=AFJK_NS + 1))
    assert (state.tape, state.halts_told) == (3, True)


def test_the_time_is_in_ms_whatever_its_unit_on_the_wire() -> None:
    state = fold_halt(None, LimitUpLimitDown("ABC", timestamp=BASE_MS * 1000 + 5), CODES, CALENDAR)
    assert state is not None
    assert state.timestamp == BASE_MS


@pytest.mark.parametrize("event", [LimitUpLimitDown(timestamp=1), LimitUpLimitDown("ABC")], ids=["symbol", "time"])
def test_an_event_without_symbol_or_time_is_an_error(event: LimitUpLimitDown) -> None:
    with pytest.raises(ValueError, match="expected a"):
        fold_halt(None, event, CODES, CALENDAR)


def row(day: str, **values: float | None) -> QuoteRow:
    fields: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
    return QuoteRow(**{**fields, **values, "symbol": "ABC", "day": day, "end_timestamp": BASE_MS})


@given(st.lists(st.tuples(st.booleans(), st.none() | st.floats(-200, 200), st.none() | st.floats(0, 20)), max_size=15))
def test_a_threshold_is_raised_once_a_day_and_only_when_it_is_a_new_most(
    rows: list[tuple[bool, float | None, float | None]],
) -> None:
    rules, raised, day = AlertRules(), frozenset[str](), 1
    most: dict[AlertKind, float] = {}
    for new_day, change, multiple in rows:
        if new_day:
            day, most, raised = day + 1, {}, frozenset()
        expected = {}
        for kind, value, thresholds in (
            (AlertKind.VOLUME_SPIKE, multiple, rules.volume_multiples),
            (AlertKind.GAP_UP, change, rules.gap_percents),
            (AlertKind.GAP_DOWN, None if change is None else -change, rules.gap_percents),
        ):
            reached = max((each for each in thresholds if value is not None and value >= each), default=0.0)
            if reached > most.get(kind, 0.0):
                most[kind] = reached
                expected[kind] = f"ABC/2026-01-{day:02}/{kind}/{reached:g}"
        found = row(f"2026-01-{day:02}", pct_change=change, relative_volume=multiple)
        raised, alerts = threshold_alerts(found, raised, rules)
        assert {alert.kind: alert.key for alert in alerts} == expected


@given(st.lists(st.tuples(st.sampled_from(["high", "low"]), st.integers(0, 300)), max_size=20))
def test_highs_and_lows_that_pass_are_a_cool_down_apart(moments: list[tuple[str, int]]) -> None:
    rules, last_ms = AlertRules(), dict[str, int]()
    last: dict[str, int] = {}
    for direction, second in sorted(moments, key=lambda moment: moment[1]):
        alert = RangeAlert("ABC", Session.REGULAR, direction, 2.0, 1.0, float(second), "")
        last_ms, passed = cool_down(last_ms, range_alerts([alert]), rules)
        due = direction not in last or second >= last[direction] + 60
        assert [each.timestamp for each in passed] == ([second * 1000] if due else [])
        if due:
            last[direction] = second
