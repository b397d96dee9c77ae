"""Best bid and offer: the newest quote of any order of arrival."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.events import Quote
from app.market.nbbo import Nbbo, fold_nbbo

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
    bid, ask = newest.bid_price, newest.ask_price
    both = bid if not bid else ask
    spread, mid = (ask - bid, (bid + ask) / 2) if both and bid and ask else (None, None)
    at, number = newest.timestamp or 0, newest.sequence_number or 0
    assert state == Nbbo("ABC", bid, 2.0, 1, ask, 4.0, 3, spread, mid, at, number)


@pytest.mark.parametrize("event", [Quote(None, timestamp=1), Quote("ABC")], ids=["no-symbol", "no-time"])
def test_a_quote_without_symbol_or_time_is_an_error(event: Quote) -> None:
    with pytest.raises(ValueError, match="expected a"):
        fold_nbbo(None, event)
