"""Quote rows against a naive reading of the rules, on any sequence of aggregates."""

import math
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.bounds import AHEAD_MS, LONGEST_BAR_MS
from app.market.calendar import TradingCalendar
from app.market.events import Aggregate, MinuteAggregate, PreviousDay, Reference
from app.market.quotes import (
    FirstPrice,
    Lateness,
    QuoteState,
    accumulate,
    finish,
    lateness,
    row_at,
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


def bar(start_ms: int, price: float) -> Aggregate:
    return Aggregate("ABC", open=price, close=price + 1, start_timestamp=start_ms, end_timestamp=start_ms + 1000)


def test_the_open_price_starts_afresh_at_the_open_and_at_the_new_day() -> None:
    opens = []
    row: QuoteRow | None = None
    starts_and_prices = [(PRE_MARKET_MS, 1), (OPEN_MS - 1000, 2), (OPEN_MS, 3), (OPEN_MS + 1000, 4), (NEXT_MS, 5)]
    for start_ms, price in starts_and_prices:
        row = fold_quote(row, bar(start_ms, price), None, None)
        assert row is not None
        opens.append(row.open)
    assert opens == [1, 1, 3, 3, 5]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param(Aggregate(None, start_timestamp=OPEN_MS), "with a symbol", id="no-symbol"),
        pytest.param(Aggregate("", start_timestamp=OPEN_MS), "with a symbol", id="empty-symbol"),
        pytest.param(Aggregate("ABC"), "aggregate of ABC, was neither", id="no-time"),
        pytest.param(Aggregate("ABC", start_timestamp=OPEN_MS * 10**6), "event time in epoch ms", id="nanoseconds"),
        pytest.param(Aggregate("XYZ", start_timestamp=NEXT_MS), "of ABC, was one of XYZ", id="another-symbol"),
        pytest.param(
            Aggregate("ABC", start_timestamp=OPEN_MS, end_timestamp=OPEN_MS - 1),
            "a bar of ABC of 0 to 61 s",
            id="ends-first",
        ),
        pytest.param(
            Aggregate("ABC", start_timestamp=OPEN_MS, end_timestamp=OPEN_MS + LONGEST_BAR_MS + 1),
            "of 0 to 61 s",
            id="long",
        ),
    ],
)
def test_what_is_no_aggregate_of_the_symbol_is_an_error_with_its_reason(event: Aggregate, reason: str) -> None:
    row = fold_quote(None, bar(OPEN_MS, 1), None, None)
    with pytest.raises(ValueError, match=reason):
        fold_quote(row, event, None, None)


def test_a_bar_more_than_a_minute_ahead_of_its_receipt_is_refused() -> None:
    row = fold_quote(None, bar(OPEN_MS, 1), None, None)
    limit_ms = OPEN_MS + AHEAD_MS
    with pytest.raises(ValueError, match=r"of ABC at most 60 s ahead of its receipt, was 120 s ahead \(at 2013-10-09T"):
        fold_quote(row, bar(OPEN_MS + 119_000, 2), None, None, limit_ms)
    assert fold_quote(row, bar(limit_ms - 1000, 2), None, None, limit_ms) is not None


def test_a_row_of_a_time_to_come_heals_with_the_next_good_bar() -> None:
    poisoned = fold_quote(None, bar(NEXT_MS + 365 * 86_400_000, 9), None, None)
    row = fold_quote(poisoned, bar(OPEN_MS, 1), None, None, OPEN_MS + AHEAD_MS)
    assert row is not None
    assert (row.day, row.open, row.close) == ("2013-10-09", 1, 2)


def test_a_wrong_end_holds_a_symbol_up_to_the_next_day_at_most() -> None:
    """Whoever comes without a receipt: the day goes before the end."""
    late = Aggregate("ABC", open=9.0, close=9.0, end_timestamp=NEXT_MS + 60_000)  # of which day it is, its end says
    row = fold_quote(None, msgspec.structs.replace(late, start_timestamp=NEXT_MS - 1), None, None)
    after = fold_quote(row, bar(NEXT_MS, 1), None, None)
    assert row is not None
    assert after is not None
    assert (row.day, after.day, after.close) == ("2013-10-09", "2013-10-10", 2)


@given(
    aggregates(), references(), st.none() | st.builds(FirstPrice, st.sampled_from([3.0, 4.0]), st.just(PRE_MARKET_MS))
)
def test_the_row_at_a_bar_is_the_one_that_the_bar_made_but_for_the_open(
    event: Aggregate, reference: Reference | None, first: FirstPrice | None
) -> None:
    made, at = fold_quote(None, event, reference, 7), row_at(event, first, reference, CALENDAR, 7)
    assert made is not None
    if first is None:
        assert at == made
    else:
        assert (at.open, at.open_timestamp) == (first.price, first.start_ms)
        assert (at.close, at.change, at.volume) == (made.close, made.change, made.volume)


@given(st.lists(aggregates(), min_size=1, max_size=8), st.randoms())
def test_of_bars_of_different_times_the_row_is_the_same_in_any_order_of_a_day(
    events: list[Aggregate], random: Random
) -> None:
    """Each with a close, its own time and its own volume: what is left to chance is what cannot be told apart."""
    bars = [
        msgspec.structs.replace(
            event, close=event.close or 1.0, accumulated_volume=float(at), decimal_accumulated_volume=None,
            start_timestamp=OPEN_MS - 4000 + at * 1000, end_timestamp=OPEN_MS - 3000 + at * 1000,
        )
        for at, event in enumerate(events)
    ]  # fmt: skip
    shuffled = list(bars)
    random.shuffle(shuffled)
    rows: list[QuoteRow | None] = []
    for sequence in (bars, shuffled):
        row: QuoteRow | None = None
        for event in sequence:
            row = fold_quote(row, event, None, None) or row
        rows.append(row)
    assert rows[0] == rows[1]


def test_a_late_bar_raises_the_volume_and_moves_neither_price_nor_time() -> None:
    """The case of the review: a bar of 10:07:30 sent again five minutes later with 5,000 more shares."""
    at_ms = OPEN_MS + 37 * 60_000
    first = Aggregate(
        "ABC", accumulated_volume=200.0, aggregate_vwap=10.0, close=10.0, high=10.0, start_timestamp=at_ms
    )
    next_ = msgspec.structs.replace(first, accumulated_volume=250.0, close=11.0, start_timestamp=at_ms + 200_000)
    again = msgspec.structs.replace(first, accumulated_volume=5200.0, aggregate_vwap=12.0, close=12.5, high=12.5)
    row = fold_quote(fold_quote(fold_quote(None, first, None, 1), next_, None, 2), again, None, 3)
    assert row is not None
    assert (row.accumulated_volume, row.aggregate_vwap, row.dollar_volume) == (5200.0, 12.0, 62_400.0)
    assert (row.close, row.high, row.start_timestamp) == (11.0, 10.0, at_ms + 200_000)


def test_a_bar_sent_again_takes_the_place_of_the_one_that_made_the_open() -> None:
    row = fold_quote(fold_quote(None, bar(OPEN_MS, 3), None, None), bar(OPEN_MS + 1000, 5), None, None)
    row = fold_quote(row, bar(OPEN_MS, 4), None, None)
    assert row is not None
    assert (row.open, row.close) == (4, 6)


def test_zero_is_not_a_price_and_no_volume_is_one() -> None:
    event = msgspec.structs.replace(
        bar(OPEN_MS, 3), volume=0.0, accumulated_volume=0.0, high=0.0, official_open_price=0.0
    )
    nothing = Reference("ABC", "2013-10-09", PreviousDay(0.0, 0.0, 0.0, 0.0, 0.0, 0.0), avg_volume=100.0)
    row = fold_quote(None, event, nothing, None)
    assert row is not None
    assert (row.volume, row.accumulated_volume, row.relative_volume, row.prev_day_volume) == (0.0, 0.0, 0.0, 0.0)
    assert (row.high, row.official_open_price, row.prev_day_close, row.prev_day_open) == (None, None, None, None)
    assert (row.change, row.pct_change, row.pct_open_gap, row.change_since_open) == (None, None, None, 1)


@pytest.mark.parametrize("close", [None, 0.0])
def test_an_aggregate_without_a_close_changes_no_price(close: float | None) -> None:
    priced = fold_quote(None, bar(OPEN_MS - 2000, 3), None, None)
    unpriced = Aggregate("ABC", open=9.0, close=close, accumulated_volume=7.0, start_timestamp=OPEN_MS)
    row = fold_quote(priced, unpriced, None, None)
    assert priced is not None
    assert row == msgspec.structs.replace(priced, accumulated_volume=7.0)
    alone = fold_quote(None, unpriced, Reference("ABC", "2013-10-09", PreviousDay(close=4.0)), None)
    assert alone is not None
    assert (alone.close, alone.open, alone.change, alone.pct_change, alone.change_since_open) == (None,) * 5


def test_bars_out_of_turn_are_told_by_kind() -> None:
    state: QuoteState | None = None
    found = []
    for at_ms in (OPEN_MS, OPEN_MS + 1000, OPEN_MS + 1000, OPEN_MS, NEXT_MS, OPEN_MS):
        event = bar(at_ms, 1)
        after = accumulate(state, event, CALENDAR)
        found.append(lateness(state, event, after))
        state = after or state
    assert found == [None, None, Lateness.REPEATED, Lateness.LATE, None, Lateness.OTHER_DAY]


def test_volumes_are_those_with_fractions() -> None:
    """The vendor's own values."""
    event = msgspec.json.decode(
        b'{"ev":"A","sym":"A","v":4989,"av":4332125,"dv":"4989.0","dav":"4332125.038360","c":10.0,"a":2.0,'
        b'"s":%d,"e":%d}' % (OPEN_MS, OPEN_MS + 1000),
        type=Aggregate,
    )
    row = fold_quote(None, event, Reference("A", CALENDAR.day_of(OPEN_MS), avg_volume=4332125.03836), None)
    assert row is not None
    assert (row.volume, row.accumulated_volume) == (4989.0, 4332125.03836)
    assert (row.dollar_volume, row.relative_volume) == (4332125.03836 * 2, 1.0)
    assert (state_of(row).last.accumulated_volume, with_reference(row, None).volume) == (4332125.03836, 4989.0)
