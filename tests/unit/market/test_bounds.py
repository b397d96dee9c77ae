"""What an event may say of time, and that no table holds on to what one of a time to come has said."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.bounds import AHEAD_MS, LONGEST_BAR_MS, check_bar, check_time, newer_reference, received_ns
from app.market.calendar import TradingCalendar
from app.market.events import LimitUpLimitDown, Reference
from app.market.halts import HaltCodes, fold_halt

CALENDAR = TradingCalendar.new_york("2013-10-01", "2013-12-31")
NOW_MS = CALENDAR.trading_day("2013-10-09").opens_ms
LIMIT_MS = NOW_MS + AHEAD_MS


@given(st.integers(0, 10**15), st.integers(-(10**6), 10**6))
def test_an_event_may_be_as_late_as_it_likes_and_a_minute_ahead(received_ms: int, after_ms: int) -> None:
    if after_ms > AHEAD_MS:
        with pytest.raises(ValueError, match="at most 60 s ahead of its receipt"):
            check_time("ABC", received_ms + after_ms, received_ms + AHEAD_MS)
    else:
        check_time("ABC", received_ms + after_ms, received_ms + AHEAD_MS)


@pytest.mark.parametrize("length_ms", [-1, LONGEST_BAR_MS + 1])
def test_a_bar_lasts_a_minute_at_most(length_ms: int) -> None:
    with pytest.raises(ValueError, match="expected a bar of ABC of 0 to 61 s"):
        check_bar("ABC", NOW_MS, NOW_MS + length_ms, math.inf)
    check_bar("ABC", NOW_MS, NOW_MS + LONGEST_BAR_MS, math.inf)
    check_bar("ABC", NOW_MS, None, LIMIT_MS)


def test_reference_data_for_a_day_that_cannot_be_known_is_refused_and_one_that_is_there_heals() -> None:
    today, coming = Reference("ABC", "2013-10-09"), Reference("ABC", "2013-10-10")
    poisoned = Reference("ABC", "2013-12-20")
    with pytest.raises(ValueError, match="of ABC for 2013-10-10 at the latest, was for 2013-12-20"):
        newer_reference(today, poisoned, LIMIT_MS, CALENDAR)
    assert newer_reference(poisoned, today, LIMIT_MS, CALENDAR) is today
    assert newer_reference(today, coming, LIMIT_MS, CALENDAR) is coming
    assert newer_reference(coming, today, LIMIT_MS, CALENDAR) is None
    # Of a clock that is not ours nothing is known.
    assert newer_reference(today, poisoned, math.inf, CALENDAR) is poisoned


def test_a_halt_of_a_time_to_come_is_refused_and_one_that_is_there_ends_with_a_good_event() -> None:
    codes = HaltCodes({17: "test"}, frozenset({18}))
    poison = LimitUpLimitDown("ABC", indicators=[17], timestamp=NOW_MS + 40 * 86_400_000)
    halted = fold_halt(None, poison, codes, CALENDAR)
    with pytest.raises(ValueError, match="ahead of its receipt"):
        fold_halt(halted, poison, codes, CALENDAR, LIMIT_MS)
    healed = fold_halt(halted, LimitUpLimitDown("ABC", upper_band=9.0, timestamp=NOW_MS), codes, CALENDAR, LIMIT_MS)
    assert halted is not None
    assert healed is not None
    assert halted.halted_since is not None
    assert (healed.halted_since, healed.upper_band, healed.day) == (None, 9.0, "2013-10-09")


@given(st.integers(1, 2**63 - 1))
def test_a_time_of_receipt_is_read_from_its_header(ns: int) -> None:
    assert received_ns(b"%d" % ns) == ns


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"now",
        b"-1",
        b"1.5",
        b"0",
        b" 7",
        b"%d" % 2**63,
        b"9" * 5000,
        "\N{SUPERSCRIPT TWO}".encode(),
        b"\xff",
    ],
)
def test_a_header_that_is_no_time_says_nothing(header: bytes | None) -> None:
    """Python itself refuses to read 5,000 digits, and a row's field holds 63 bits."""
    assert received_ns(header) is None
