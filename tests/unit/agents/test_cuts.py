"""Rows, alerts and their order are the same wherever a batch is cut; rows of a wrong time heal with a good event."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tables
from agents.halts import fold_bands
from agents.nbbo import fold_quotes
from agents.quotes import fold_aggregates
from app.market.events import Aggregate, LimitUpLimitDown, Quote
from app.stream import PartitionView
from tables import receipts
from tests.unit.agents.test_daily_ranges import START_MS, batch_of

YEARS_MS = 22 * 365 * 86_400_000


def bar(symbol: str, second: int, close: int, at_ms: int = START_MS) -> Aggregate:
    # From before the open to after it: the open price starts afresh in between.
    start_ms = at_ms + second * 1000
    return Aggregate(
        symbol, volume=1.0, accumulated_volume=float(second), open=close - 1.0, close=float(close),
        start_timestamp=start_ms, end_timestamp=start_ms + 1000,
    )  # fmt: skip


def quote(symbol: str, second: int, price: int, at_ms: int = START_MS) -> Quote:
    return Quote(symbol, bid_price=float(price), ask_price=price + 1.0, timestamp=at_ms + second, sequence_number=price)


def bands(symbol: str, second: int, price: int, at_ms: int = START_MS) -> LimitUpLimitDown:
    indicators = [(17, 18, 21)[price % 3]]
    return LimitUpLimitDown(symbol, upper_band=float(price), indicators=indicators, timestamp=at_ms + second * 1000)


Make = Callable[..., Any]
FOLDS = [
    pytest.param(bar, fold_aggregates, id="quotes"),
    pytest.param(quote, fold_quotes, id="nbbo"),
    pytest.param(bands, fold_bands, id="halts"),
]


@pytest.fixture(autouse=True)
def _bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "BOUNDED", True)
    tables.quotes.data.partitions.clear()
    tables.reference.data.partitions.clear()


def folded(fold: Make, batches: list[list[Any]], rows: dict[str, Any] | None = None, at_ms: int = 0) -> Any:
    """Rows and alerts after some batches, each written before the next one."""
    rows = dict(rows or {})
    alerts: list[Any] = []
    for events in batches:
        view = PartitionView(0, rows)
        alerts += fold(view, batch_of(events, at_ms)) or []
        rows |= view.changes
    return rows, alerts


@pytest.mark.parametrize(("make", "fold"), FOLDS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.sampled_from("ABC"), st.integers(-20, 20), st.integers(5, 9)), max_size=25),
    cuts=st.sets(st.integers(1, 24)),
)
def test_rows_and_alerts_are_the_same_wherever_events_are_cut(
    make: Make, fold: Make, places: list[tuple[str, int, int]], cuts: set[int]
) -> None:
    events = [make(*place) for place in places]
    edges = [0, *sorted(cut for cut in cuts if cut < len(events)), len(events)]
    cut = [events[begin:end] for begin, end in pairwise(edges)]
    assert folded(fold, cut) == folded(fold, [events]) == folded(fold, [[event] for event in events])


@pytest.mark.parametrize(("make", "fold"), FOLDS)
def test_a_row_of_a_time_to_come_heals_with_the_next_good_event(make: Make, fold: Make) -> None:
    received_ms = START_MS + 2000
    poisoned, _ = folded(fold, [[make("A", 0, 6, START_MS + YEARS_MS)]])
    with pytest.raises(ValueError, match="ahead of its receipt"):
        folded(fold, [[make("A", 0, 6, START_MS + YEARS_MS)]], None, received_ms)
    good = [[make("A", 1, 8)]]
    assert folded(fold, good, poisoned, received_ms)[0] == folded(fold, good, None, received_ms)[0]


def test_a_bar_with_a_wrong_end_is_refused_and_freezes_no_symbol() -> None:
    wrong = Aggregate("A", close=6.0, start_timestamp=START_MS, end_timestamp=START_MS + 3_600_000)
    with pytest.raises(ValueError, match="expected a bar of A of 0 to 61 s"):
        folded(fold_aggregates, [[wrong]], None, START_MS + 4_000_000)
