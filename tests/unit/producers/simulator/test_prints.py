"""Simulated prints are as the vendor's: sizes, conditions, ids, round lots."""

import numpy as np
import pytest

from producers.simulator.shares import decimal, decimals
from tests.unit.producers.simulator.markets import Event, model, run


def prints() -> list[Event]:
    return [
        event
        for _, event in run(model(1, "2026-11-20T12:00", symbols=100, events_per_s=3000), 40)
        if event["ev"] == "T"
    ]


def test_a_third_of_prints_is_below_one_share() -> None:
    """Of AAPL's 1,183 in the vendor's demonstration 443 had `s` 0: reported at FINRA, odd lots."""
    trades = prints()
    below = [trade for trade in trades if trade["s"] == 0]
    assert len(below) / len(trades) == pytest.approx(443 / 1183, abs=0.08)
    for trade in below:
        assert 0 < float(trade["ds"]) < 1
        assert trade["x"] == 4
        assert 37 in trade["c"]
    assert all(int(float(trade["ds"])) == trade["s"] for trade in trades)


def test_decimals_are_as_the_vendor_writes_them() -> None:
    assert [decimal(4_989_000_000), decimal(4_332_125_038_360), decimal(1_500)] == [
        "4989.0",
        "4332125.038360",
        "0.001500",
    ]
    sizes = [100_000_000, 7_300, 999_999, 1_000_000, 1_000_001, 12_500_000, 4_332_125_038_360, 3_000_000_000_000]
    assert decimals(np.array(sizes)) == [decimal(size) for size in sizes]


def test_prints_off_the_market_and_out_of_sequence_are_on_the_tape() -> None:
    seen = {code for trade in prints() for code in trade.get("c", ())}
    assert {2, 10, 14, 22, 33, 37, 41, 52, 53} <= seen
    extended = {
        code
        for _, event in run(model(1, "2026-11-20T08:00", events_per_s=3000), 20)
        if event["ev"] == "T"
        for code in event.get("c", ())
    }
    assert 12 in extended


def test_ids_repeat_over_exchanges_and_never_within_one() -> None:
    trades = prints()
    full = [(trade["x"], trade.get("trfi"), trade["i"]) for trade in trades]
    assert len(set(full)) == len(full)
    assert len({trade["i"] for trade in trades}) < len(full)


def test_some_prints_of_a_symbol_have_equal_sequence_numbers() -> None:
    trades = prints()
    numbers = [(trade["sym"], trade["q"]) for trade in trades]
    assert 0 < len(numbers) - len(set(numbers)) < len(numbers) / 20


@pytest.mark.parametrize(("symbol", "lot"), [("AAPL", 100), ("NFLX", 40), ("AZO", 10), ("BRK.A", 1)])
def test_a_round_lot_hangs_on_the_price(symbol: str, lot: int) -> None:
    """https://massive.com: 100 shares, 40 above $250, 10 above $1,000, 1 above $10,000."""
    market = model(1, "2026-11-20T12:00")
    assert market._lot[market.universe.slot[symbol]] == lot
