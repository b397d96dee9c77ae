"""The time that symbols agree on against sorting them all."""

from hypothesis import given
from hypothesis import strategies as st

from app.market.agreed_time import AgreedTime, agreed
from app.market.bounds import AGREEING_SYMBOLS

steps = st.lists(st.tuples(st.sampled_from("ABCDEF"), st.none() | st.integers(0, 50)), max_size=60)


@given(steps)
def test_it_is_the_third_newest_of_the_symbols_times_or_the_oldest_of_fewer(
    steps: list[tuple[str, int | None]],
) -> None:
    found, naive = AgreedTime(), dict[str, int]()
    for symbol, at_ms in steps:
        if at_ms is None:
            found.forget(symbol)
            naive.pop(symbol, None)
        else:
            naive[symbol] = max(naive.get(symbol, 0), at_ms)
            found.see(symbol, at_ms)
        newest = sorted(naive.values())
        assert found.ms == (newest[-AGREEING_SYMBOLS:] or [0])[0]
        assert found.settled == (len(naive) >= AGREEING_SYMBOLS)
        assert found.newest_ms == max(newest, default=0)
        assert agreed(naive.values()) == (found.ms if naive else None)


def test_one_symbol_of_a_time_to_come_moves_nothing() -> None:
    assert agreed(["2013-10-09", "2036-01-02", "2013-10-09", "2013-10-09"]) == "2013-10-09"
    assert agreed([]) is None
