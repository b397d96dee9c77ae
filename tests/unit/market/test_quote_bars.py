"""Quote rows of bars that come late, twice, without a price or at a wrong time."""

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.bounds import AHEAD_MS, LONGEST_BAR_MS
from app.market.events import Aggregate, PreviousDay, Reference
from app.market.quotes import (
    FirstPrice,
    Lateness,
    QuoteState,
    accumulate,
    lateness,
    row_at,
    state_of,
    with_reference,
)
from app.market.rows import QuoteRow
from tests.unit.market.test_quotes import CALENDAR, NEXT_MS, OPEN_MS, PRE_MARKET_MS, aggregates, fold_quote, references


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
