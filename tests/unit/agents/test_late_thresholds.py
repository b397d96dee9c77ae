"""Thresholds that no aggregate could raise."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from agents.daily_ranges import RULES, late_thresholds
from app.market.alerts import reaches_any
from app.market.daily_alerts import RangeRow, fold_thresholds
from app.market.rows import QuoteRow

DAY = "2026-11-20"


def quote(symbol: str, relative_volume: float | None, change: float | None, day: str = DAY) -> QuoteRow:
    fields: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
    fields |= {"symbol": symbol, "day": day, "end_timestamp": 1000, "pct_change": change}
    return QuoteRow(**fields | {"relative_volume": relative_volume})


def test_what_a_row_reaches_is_raised_once_and_what_is_of_another_day_is_not() -> None:
    states = {symbol: RangeRow(symbol, DAY) for symbol in "ABCD"}
    rows = {"A": quote("A", 6.0, None), "B": quote("B", 1.0, -60.0), "C": quote("C", 9.0, 9.0, "2026-11-19")}
    changes, alerts = late_thresholds(states, rows)
    raised = {key: msgspec.json.decode(value) for key, value in alerts}
    assert {key: alert["key"] for key, alert in raised.items()} == {
        b"A": f"A/{DAY}/volume_spike/5",
        b"B": f"B/{DAY}/gap_down/50",
    }
    assert raised[b"A"]["row"]["relative_volume"] == 6.0
    assert changes.keys() == {"A", "B"}
    after = {symbol: row for symbol, row in (states | changes).items() if row is not None}
    assert late_thresholds(after, rows) == ({}, [])


@given(st.none() | st.floats(-1, 20), st.none() | st.floats(-200, 200))
def test_the_cheap_look_leaves_nothing_out(relative_volume: float | None, change: float | None) -> None:
    row = quote("A", relative_volume, change)
    assert reaches_any(row, RULES) == bool(fold_thresholds(RangeRow("A", DAY), row, RULES)[1])
