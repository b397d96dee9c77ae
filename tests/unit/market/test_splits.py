"""What was known before a split is told in shares of after it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.events import PreviousDay, Reference
from app.market.splits import Split, adjusted, is_sound

DAY = "2026-11-20"
amount = st.floats(0.01, 1e9, allow_nan=False)


def test_a_reverse_split_of_twenty_to_one_is_no_gain_of_1849_per_cent() -> None:
    """The vendor's own sample of its market movers: PDS, previous close 0.73, price 14.2284."""
    before = Reference("PDS", DAY, PreviousDay(close=0.73, volume=2_000_000.0), avg_volume=1_000_000.0, free_float=4e6)
    after = adjusted(before, Split("PDS", DAY, split_from=20, split_to=1))
    assert after.previous_day is not None
    close = after.previous_day.close or 0.0
    assert close == pytest.approx(14.6)
    change = (14.2284 - close) / close * 100
    assert change == pytest.approx(-2.5, abs=0.1)
    assert (after.previous_day.volume, after.avg_volume, after.free_float) == (100_000.0, 50_000.0, 200_000.0)
    assert after.split == "20:1"


@given(price=amount, volume=amount, split_from=st.integers(1, 1000), split_to=st.integers(1, 1000))
def test_dollars_traded_and_the_value_of_the_float_stay_the_same(
    price: float, volume: float, split_from: int, split_to: int
) -> None:
    before = Reference("A", DAY, PreviousDay(price, price, price, price, volume, price), volume, volume)
    after = adjusted(before, Split("A", DAY, split_from, split_to))
    assert after.previous_day is not None
    found = after.previous_day
    for each in (found.close, found.open, found.high, found.low, found.vwap):
        assert each is not None
        for shares in (found.volume, after.avg_volume, after.free_float):
            assert shares is not None
            assert each * shares == pytest.approx(price * volume)


def test_what_is_not_known_stays_not_known() -> None:
    assert adjusted(Reference("A", DAY), Split("A", DAY, 1, 4)) == Reference("A", DAY, split="1:4")
    assert not is_sound(Split("A", DAY, 0, 1))
    assert not is_sound(Split("A", DAY, 1, 0))
