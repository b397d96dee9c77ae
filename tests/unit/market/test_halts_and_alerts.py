"""Halts and alerts: the newest event decides, and what is raised is raised once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.alerts import AlertKind, AlertRules, cool_down, halt_alerts, range_alerts, threshold_alerts
from app.market.calendar import Session
from app.market.daily_ranges import RangeAlert
from app.market.events import LimitUpLimitDown
from app.market.halts import HaltCodes, HaltState, fold_halt
from app.market.rows import QuoteRow

CODES = HaltCodes({1: "volatility", 2: "news"}, frozenset({9}))
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
        after = fold_halt(state, luld(step, *indicators), CODES)
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


def test_without_known_codes_bands_are_kept_and_nothing_is_a_halt() -> None:
    state = fold_halt(None, luld(0, 1, upper=10.0), HaltCodes())
    state = fold_halt(state, luld(1, 17), HaltCodes())
    assert state == HaltState("ABC", 10.0, None, (17,), BASE_MS + 1, 1)


def test_the_time_is_in_ms_whatever_its_unit_on_the_wire() -> None:
    state = fold_halt(None, LimitUpLimitDown("ABC", timestamp=BASE_MS * 1000 + 5), CODES)
    assert state is not None
    assert state.timestamp == BASE_MS


@pytest.mark.parametrize("event", [LimitUpLimitDown(timestamp=1), LimitUpLimitDown("ABC")], ids=["symbol", "time"])
def test_an_event_without_symbol_or_time_is_an_error(event: LimitUpLimitDown) -> None:
    with pytest.raises(ValueError, match="expected a"):
        fold_halt(None, event, CODES)


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
