"""Alerts are the same wherever a batch is cut; thresholds are raised by each bar and by late reference data."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tables
from agents.daily_ranges import RULES, calendar, fold_ranges, fold_references
from app.market.bounds import AHEAD_MS
from app.market.daily_alerts import RangeRow, fold_thresholds, reaches_threshold
from app.market.events import Aggregate, PreviousDay, Reference
from app.market.quotes import row_at
from app.market.rows import QuoteRow
from app.stream import PartitionView, RecordBatch
from app.stream.partition import PartitionState
from tables import receipts

DAY = "2013-10-09"
START_MS = 1_381_325_400_000  # 2013-10-09 09:30 ET


class Rec(NamedTuple):
    offset: int
    value: bytes
    timestamp: int = 0
    key: bytes | None = b"k"
    headers: tuple[tuple[str, bytes], ...] = ()


@pytest.fixture(autouse=True)
def _bounded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(receipts, "BOUNDED", True)
    state = PartitionState[Reference](0)
    state.rows = {symbol: Reference(symbol, DAY, PreviousDay(close=100.0), avg_volume=100.0) for symbol in "AB"}
    tables.reference.data.partitions[0] = state
    yield
    tables.reference.data.partitions.clear()
    tables.quotes.data.partitions.clear()


def batch_of(events: list[Any], timestamp_ms: int = 0, first: int = 0) -> RecordBatch:
    records = [Rec(first + at, msgspec.json.encode(event), timestamp_ms) for at, event in enumerate(events)]
    return RecordBatch("massive.aggregates", 0, records, first + len(events))


def folded(batches: list[list[Aggregate]]) -> tuple[dict[str, RangeRow], list[dict[str, Any]]]:
    rows: dict[str, RangeRow] = {}
    alerts: list[dict[str, Any]] = []
    for events in batches:
        view = PartitionView(0, rows)
        alerts += [msgspec.json.decode(value) for _, value in fold_ranges(view, batch_of(events))]
        rows |= {key: row for key, row in view.changes.items() if row is not None}
    return rows, alerts


def bar(symbol: str, second: int, close: float, volume: float) -> Aggregate:
    at_ms = START_MS + second * 1000
    return Aggregate(
        symbol, accumulated_volume=volume, open=close, close=close, high=close, low=close,
        start_timestamp=at_ms, end_timestamp=at_ms + 1000,
    )  # fmt: skip


bars = st.builds(
    bar, st.sampled_from("ABC"), st.integers(0, 900), st.sampled_from([40, 85, 95, 112, 130, 250]),
    st.sampled_from([10, 210, 550, 1200]),
)  # fmt: skip


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(bars, max_size=25), st.sets(st.integers(0, 25)))
def test_rows_alerts_and_their_order_are_the_same_wherever_events_are_cut(
    events: list[Aggregate], cuts: set[int]
) -> None:
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(events)), len(events)]
    cut = [events[begin:end] for begin, end in pairwise(edges)]
    assert folded(cut) == folded([events]) == folded([[event] for event in events])


def test_a_threshold_that_a_later_bar_of_the_batch_falls_back_from_is_raised() -> None:
    _, alerts = folded([[bar("A", 0, 130.0, 10), bar("A", 1, 101.0, 20)]])
    assert [(alert["kind"], alert["timestamp"], alert["row"]["close"]) for alert in alerts] == [
        ("gap_up", START_MS + 1000, 130.0),
        ("new_low", START_MS + 2000, 101.0),
    ]


def test_reference_data_that_comes_late_raises_what_the_row_reaches_once() -> None:
    state = PartitionState[QuoteRow](0)
    fields: dict[str, Any] = dict.fromkeys(QuoteRow.__struct_fields__)
    fields |= {"symbol": "A", "day": DAY, "end_timestamp": 1000, "relative_volume": 6.0}
    state.rows = {"A": QuoteRow(**fields)}
    tables.quotes.data.partitions[0] = state
    rows = {"A": RangeRow("A", DAY), "B": RangeRow("B", DAY)}
    view = PartitionView(0, rows)
    batch = batch_of([Reference("A", DAY), Reference("B", DAY), Reference("A", DAY)])
    (alert,) = [msgspec.json.decode(value) for _, value in fold_references(view, batch)]
    assert (alert["key"], alert["row"]["relative_volume"]) == (f"A/{DAY}/volume_spike/5", 6.0)
    assert fold_references(view, batch) == []


def test_a_bar_ahead_of_its_receipt_is_refused_and_ranges_of_a_day_to_come_heal() -> None:
    view = PartitionView(0, {"A": RangeRow("A", "2036-01-02", regular_session_high=1.0)})
    with pytest.raises(ValueError, match="ahead of its receipt"):
        fold_ranges(view, batch_of([bar("A", 0, 100.0, 10)], START_MS - AHEAD_MS))
    fold_ranges(view, batch_of([bar("A", 0, 100.0, 10)], START_MS + 1000))
    healed = view.changes["A"]
    assert healed is not None
    assert (healed.day, healed.regular_session_high, healed.regular_session_low) == (DAY, 100.0, 100.0)


def test_the_row_in_an_alert_across_the_open_is_the_same_wherever_a_batch_is_cut() -> None:
    """An alert of before 09:30 has the first price of that session, also where the quote row is past the open."""
    before = [bar("C", -20, 90.0, 10), bar("C", -10, 91.0, 20)]
    after = [bar("C", 61, 95.0, 30), bar("C", 62, 96.0, 40)]
    for cut in ([before + after], [before, after], [[event] for event in before + after]):
        # The other agent's rows may be ahead by any number of bars.
        state = PartitionState[QuoteRow](0)
        state.rows = {"C": row_at(after[-1], None, None, calendar)}
        tables.quotes.data.partitions[0] = state
        _, alerts = folded(cut)
        rows = {alert["timestamp"]: (alert["row"]["open"], alert["row"]["opened_regular"]) for alert in alerts}
        assert rows == {START_MS - 9000: (90.0, False), START_MS + 63_000: (95.0, True)}


def test_an_alert_of_a_late_bar_is_marked_and_raised_in_spite_of_the_cool_down() -> None:
    times = (0, 30, 100, 50, 101)
    prices = (100.0, 101.0, 100.5, 103.0, 104.0)
    _, alerts = folded([[bar("C", at, price, 10) for at, price in zip(times, prices, strict=True)]])
    told = [(alert["timestamp"] - START_MS, alert["value"], alert["late"]) for alert in alerts]
    assert told == [(31_000, 101.0, False), (51_000, 103.0, True), (102_000, 104.0, False)]


def test_a_threshold_that_a_late_bar_reaches_is_marked() -> None:
    _, alerts = folded([[bar("A", 60, 100.0, 10), bar("A", 20, 100.0, 550), bar("A", 61, 130.0, 560)]])
    told = [(alert["kind"], alert["late"]) for alert in alerts if alert["kind"] != "new_high"]
    assert told == [("volume_spike", True), ("gap_up", False)]


@given(st.floats(0, 2000), st.floats(0, 300))
def test_the_cheap_look_leaves_nothing_out(volume: float, close: float) -> None:
    reference = Reference("A", DAY, PreviousDay(close=100.0), avg_volume=100.0)
    event = bar("A", 0, close, volume)
    state = RangeRow("A", DAY)
    if fold_thresholds(state, row_at(event, None, reference, calendar), RULES)[1]:
        assert reaches_threshold(state, event, reference, RULES)
