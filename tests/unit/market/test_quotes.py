"""Quote rows against a naive reading of the rules, on any sequence of aggregates."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.calendar import TradingCalendar
from app.market.events import Aggregate, MinuteAggregate, PreviousDay, Reference
from app.market.quotes import (
    QuoteState,
    accumulate,
    finish,
    state_of,
    with_reference,
)
from app.market.rows import QuoteRow

CALENDAR = TradingCalendar.new_york()
PRE_MARKET_MS = CALENDAR.trading_day("2013-10-09").begins_ms
OPEN_MS = CALENDAR.trading_day("2013-10-09").opens_ms
NEXT_MS = CALENDAR.trading_day("2013-10-10").begins_ms
COPIED = [
    "volume",
    "accumulated_volume",
    "vwap",
    "close",
    "high",
    "low",
    "aggregate_vwap",
    "average_size",
    "start_timestamp",
    "end_timestamp",
]

numbers = st.none() | st.sampled_from([0.0, 1.0, 2.5, 100.0]) | st.floats(0, 1e9)
#: Times around the two resets, and few of them, so that repetition and disorder are common.
starts = st.none() | st.sampled_from(
    [base + step for base in (PRE_MARKET_MS, OPEN_MS, NEXT_MS) for step in (-2000, -1000, 0, 1000, 60_000)]
)


@st.composite
def aggregates(draw: st.DrawFn) -> Aggregate:
    start = draw(starts)
    end = draw(st.none() | st.just(1000) | st.just(60_000))
    if start is None:
        end_ms = draw(starts.filter(lambda value: value is not None))
    else:
        end_ms = None if end is None else start + end
    kind = draw(st.sampled_from([Aggregate, MinuteAggregate]))
    fields = [
        name for name in Aggregate.__struct_fields__ if name not in ("symbol", "start_timestamp", "end_timestamp")
    ]
    given_numbers: dict[str, Any] = {name: draw(numbers) for name in fields}
    return kind("ABC", **given_numbers, start_timestamp=start, end_timestamp=end_ms)


@st.composite
def references(draw: st.DrawFn) -> Reference | None:
    day = draw(st.sampled_from([None, "2013-10-08", "2013-10-09", "2013-10-10"]))
    if day is None:
        return None
    previous = draw(st.none() | st.builds(PreviousDay, numbers, numbers, numbers, numbers, numbers, numbers))
    return Reference("ABC", day, previous, draw(numbers), draw(numbers))


class Naive:
    """The rules over all bars of the day, as dictionaries, with no thought of speed."""

    def __init__(self) -> None:
        self.row: dict[str, Any] | None = None
        self.bars: list[tuple[int, int, Aggregate]] = []
        self.day = ""

    def fold(self, event: Aggregate, reference: Reference | None) -> dict[str, Any] | None:
        start, end = event.start_timestamp, event.end_timestamp
        started: int = start if start is not None else (end or 0) - 1
        ended: int = end if end is not None else started
        day = CALENDAR.day_of(started)
        if day < self.day:
            return None
        if day > self.day:
            self.day, self.bars = day, []
        self.bars.append((started, ended, event))
        priced = [each for each in self.bars if each[2].close]
        # Of equal ones the last that came: `max` and `min` give the first, so that they look from behind.
        last = max(reversed(priced or self.bars[:1]), key=lambda each: each[1])[2]
        regular = CALENDAR.opened(self.bars[0][0]) or any(CALENDAR.opened(at) for at, _, _ in priced)
        of_session = [each for each in priced if CALENDAR.opened(each[0]) == regular]
        self.row = {"symbol": "ABC", "day": day, "opened_regular": regular, "open": None, "open_timestamp": None}
        self.row |= {name: getattr(last, name) for name in COPIED}
        if last.decimal_volume is not None:
            self.row["volume"] = last.decimal_volume
        if of_session:
            first_at, _, first = min(reversed(of_session), key=lambda each: each[0])
            self.row |= {"open": first.open or first.close, "open_timestamp": first_at}
        volumes = [(self.volume(bar), bar.aggregate_vwap) for _, _, bar in self.bars]
        told = [each for each in volumes if each[0] is not None]
        volume, average = max(reversed(told), key=lambda each: each[0] or 0.0) if told else volumes[-1]
        self.row |= {"accumulated_volume": volume, "aggregate_vwap": average or None}
        for name in ("close", "high", "low", "vwap"):
            self.row[name] = self.row[name] or None
        self.row["official_open_price"] = last.official_open_price or None
        self.derive(reference)
        return self.row

    @staticmethod
    def volume(bar: Aggregate) -> Any:
        return bar.accumulated_volume if bar.decimal_accumulated_volume is None else bar.decimal_accumulated_volume

    def derive(self, reference: Reference | None) -> None:
        row = self.row
        assert row is not None
        known = reference if reference is not None and reference.day == row["day"] else None
        previous = known.previous_day if known is not None else None
        for name in ("close", "open", "high", "low", "volume", "vwap"):
            row[f"prev_day_{name}"] = None if previous is None else getattr(previous, name)
            if name != "volume":
                row[f"prev_day_{name}"] = row[f"prev_day_{name}"] or None
        row["avg_volume"] = None if known is None else known.avg_volume
        row["free_float"] = None if known is None else known.free_float
        close = row["close"]
        for base, change in (("prev_day_close", "change"), ("open", "change_since_open")):
            price, priced = row[base], close is not None and row[base] is not None
            row[change] = close - price if priced else None
            row[f"pct_{change}"] = (close - price) / price * 100 if priced else None
        base, opened = row["prev_day_close"], row["open"]
        row["pct_open_gap"] = (opened - base) / base * 100 if base and opened is not None else None
        traded, average = row["accumulated_volume"], row["aggregate_vwap"]
        row["dollar_volume"] = None if traded is None or average is None else traded * average
        row["relative_volume"] = traded / row["avg_volume"] if row["avg_volume"] and traded is not None else None


def as_dict(row: QuoteRow) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(row).items() if name != "received_ns"}


def fold_quote(
    row: QuoteRow | None,
    event: Aggregate,
    reference: Reference | None,
    received_ns: int | None,
    limit_ms: float = math.inf,
) -> QuoteRow | None:
    """The row after one aggregate."""
    state = accumulate(None if row is None else state_of(row), event, CALENDAR, limit_ms)
    return None if state is None else finish(state, reference, received_ns)


@settings(max_examples=300)
@given(st.lists(st.tuples(aggregates(), references()), max_size=12))
def test_any_sequence_gives_the_row_that_the_rules_give(sequence: list[tuple[Aggregate, Reference | None]]) -> None:
    naive = Naive()
    row: QuoteRow | None = None
    for received_ns, (event, reference) in enumerate(sequence):
        expected = naive.fold(event, reference)
        folded = fold_quote(row, event, reference, received_ns)
        if expected is None:
            assert folded is None
            continue
        assert folded is not None
        assert as_dict(folded) == expected
        assert folded.received_ns == received_ns
        row = folded


@settings(max_examples=300)
@given(st.lists(aggregates(), max_size=12), references(), st.integers(0, 12))
def test_folding_a_batch_then_finishing_equals_folding_each_event(
    events: list[Aggregate], reference: Reference | None, resumed_at: int
) -> None:
    row: QuoteRow | None = None
    state: QuoteState | None = None
    for index, event in enumerate(events):
        if index == resumed_at and state is not None:
            state = state_of(finish(state, reference))  # a flush and a restart between two events
        row = fold_quote(row, event, reference, None) or row
        state = accumulate(state, event, CALENDAR) or state
    assert (None if state is None else finish(state, reference)) == row


@given(aggregates(), references(), references())
def test_reference_data_that_comes_later_gives_the_row_it_would_have_given_sooner(
    event: Aggregate, sooner: Reference | None, later: Reference | None
) -> None:
    row = fold_quote(None, event, sooner, 1)
    assert row is not None
    assert with_reference(row, later) == fold_quote(None, event, later, 1)


@given(st.lists(aggregates(), min_size=1, max_size=6), references())
def test_a_repeated_aggregate_changes_nothing(events: list[Aggregate], reference: Reference | None) -> None:
    row: QuoteRow | None = None
    for event in events:
        row = fold_quote(row, event, reference, 1) or row
        assert row is not None
        assert (fold_quote(row, event, reference, 1) or row) == row


def test_the_row_s_fields_stand_in_their_order() -> None:
    event = Aggregate("ABC", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, OPEN_MS, OPEN_MS + 1000)
    reference = Reference("ABC", "2013-10-09", PreviousDay(11, 12, 13, 14, 15, 16), 17, 18)
    row = fold_quote(None, event, reference, 19)
    assert row is not None
    assert msgspec.structs.asdict(row) == {
        "symbol": "ABC",
        "day": "2013-10-09",
        "opened_regular": True,
        "volume": 1,
        "accumulated_volume": 2,
        "official_open_price": 3,
        "vwap": 4,
        "open": 5,
        "close": 6,
        "high": 7,
        "low": 8,
        "aggregate_vwap": 9,
        "average_size": 10,
        "start_timestamp": OPEN_MS,
        "end_timestamp": OPEN_MS + 1000,
        "prev_day_close": 11,
        "prev_day_open": 12,
        "prev_day_high": 13,
        "prev_day_low": 14,
        "prev_day_volume": 15,
        "prev_day_vwap": 16,
        "avg_volume": 17,
        "free_float": 18,
        "change": -5,
        "pct_change": pytest.approx(-500 / 11),
        "change_since_open": 1,
        "pct_change_since_open": 20,
        "relative_volume": pytest.approx(2 / 17),
        "received_ns": 19,
        "dollar_volume": 18,
        "pct_open_gap": pytest.approx(-600 / 11),
        "open_timestamp": OPEN_MS,
    }
