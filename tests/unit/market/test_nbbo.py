"""Best bid and offer: the newest quote of any order of arrival."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.events import Quote
from app.market.nbbo import Nbbo, fold_nbbo, newest_quotes

prices = st.none() | st.sampled_from([0.0, 10.0, 10.5, 11.0])
quotes = st.builds(
    lambda bid, ask, at, sequence: Quote("ABC", 1, bid, 2.0, 3, ask, 4.0, timestamp=at, sequence_number=sequence),
    prices,
    prices,
    st.integers(0, 4),
    st.none() | st.integers(0, 4),
)


@given(st.lists(quotes, min_size=1, max_size=20))
def test_the_state_is_the_newest_quote_the_last_to_arrive_of_equals(sequence: list[Quote]) -> None:
    state: Nbbo | None = None
    for event in sequence:
        state = fold_nbbo(state, event) or state
    newest = sorted(sequence, key=lambda quote: (quote.timestamp or 0, quote.sequence_number or 0))[-1]
    # Zero is not a price: the side is empty.
    bid, ask = newest.bid_price or None, newest.ask_price or None
    both = bid if not bid else ask
    spread, mid = (ask - bid, (bid + ask) / 2) if both and bid and ask else (None, None)
    at, number = newest.timestamp or 0, newest.sequence_number or 0
    assert state == Nbbo("ABC", bid, 2.0, 1, ask, 4.0, 3, spread, mid, at, number)


@given(st.none() | quotes, st.lists(st.tuples(st.sampled_from("AB"), quotes), max_size=20))
def test_to_fold_the_newest_of_each_symbol_is_to_fold_all(before: Quote | None, batch: list[tuple[str, Quote]]) -> None:
    events = [msgspec.structs.replace(quote, symbol=symbol) for symbol, quote in batch]
    start = fold_nbbo(None, msgspec.structs.replace(before, symbol="A")) if before is not None else None
    one_by_one: dict[str, Nbbo] = {} if start is None else {"A": start}
    at_once = dict(one_by_one)
    for event in events:
        symbol = event.symbol or ""
        one_by_one[symbol] = fold_nbbo(one_by_one.get(symbol), event) or one_by_one[symbol]

    for symbol, (event, place) in newest_quotes(events)[0].items():
        assert events[place] is event
        at_once[symbol] = fold_nbbo(at_once.get(symbol), event) or at_once[symbol]

    assert at_once == one_by_one


@pytest.mark.parametrize("event", [Quote(None, timestamp=1), Quote("ABC")], ids=["no-symbol", "no-time"])
def test_a_quote_without_symbol_or_time_is_an_error(event: Quote) -> None:
    with pytest.raises(ValueError, match="expected a"):
        fold_nbbo(None, event)
    with pytest.raises(ValueError, match="expected a"):
        newest_quotes([Quote("ABC", timestamp=1), event])


def test_a_quote_ahead_of_its_receipt_is_refused_and_a_row_of_a_time_to_come_heals() -> None:
    poisoned = fold_nbbo(None, Quote("ABC", bid_price=1.0, timestamp=10**13))
    with pytest.raises(ValueError, match="ahead of its receipt"):
        fold_nbbo(poisoned, Quote("ABC", timestamp=1001), limit_ms=1000)
    with pytest.raises(ValueError, match="ahead of its receipt"):
        newest_quotes([Quote("ABC", timestamp=1), Quote("ABC", timestamp=1001)], [1000, 1000])
    healed = fold_nbbo(poisoned, Quote("ABC", bid_price=2.0, timestamp=1000), limit_ms=1000)
    assert healed is not None
    assert (healed.bid_price, healed.timestamp) == (2.0, 1000)


def test_quotes_that_come_after_a_newer_one_are_counted_as_late() -> None:
    times = [5, 7, 6, 7, 1]
    newest, late = newest_quotes([Quote("ABC", timestamp=at_ms) for at_ms in times])
    assert (newest["ABC"][1], late) == (3, 2)
