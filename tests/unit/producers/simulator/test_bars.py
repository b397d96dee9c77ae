"""Simulated bars are what the prints that count add up to."""

from collections import defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.trade_conditions import Counts
from producers.simulator.market import MarketModel, World
from tests.unit.producers.simulator.markets import Event, calendar, counts, model, new_york_ms, run, starts


def check_bar(bar: Event, trades: list[Event]) -> None:
    """A bar is what those of its prints add up to that count."""
    of_volume = [trade for trade in trades if counts(trade) & Counts.VOLUME]
    shares = sum(Decimal(trade["ds"]) for trade in of_volume)
    assert Decimal(bar["dv"]) == shares
    assert bar["v"] == int(shares)
    last = [trade["p"] for trade in trades if counts(trade) & Counts.LAST]
    reach = [trade["p"] for trade in trades if counts(trade) & Counts.HIGH_LOW]
    assert (bar["o"], bar["h"], bar["l"], bar["c"]) == (last[0], max(reach), min(reach), last[-1])
    notional = sum(trade["p"] * float(trade["ds"]) for trade in of_volume)
    assert bar["vw"] == pytest.approx(notional / float(shares), abs=1e-4)


def trades_by(tape: list[tuple[int, Event]], window_ms: int) -> dict[tuple[str, int], list[Event]]:
    found: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for _, event in tape:
        if event["ev"] == "T":
            found[event["sym"], event["t"] // window_ms * window_ms].append(event)
    return found


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), start=starts)
def test_a_second_bar_is_what_its_counting_trades_add_up_to(seed: int, start: str) -> None:
    tape = run(model(seed, start), 30)
    trades = trades_by(tape, 1000)
    bars = {(event["sym"], event["s"]): event for _, event in tape if event["ev"] == "A"}
    assert bars
    told_until = new_york_ms(start) + 28_000
    eligible = {key for key, held in trades.items() if any(counts(trade) & Counts.LAST for trade in held)}
    assert bars.keys() == {key for key in eligible if key[1] < told_until}
    for key, bar in bars.items():
        check_bar(bar, trades[key])
        assert bar["e"] - bar["s"] == 1000


def test_a_second_bar_comes_two_seconds_after_its_end() -> None:
    for due_ms, event in run(model(1, "2026-11-20T12:00"), 20):
        if event["ev"] == "A":
            assert due_ms == event["e"] + 2000


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32), start=starts)
def test_a_days_volume_rises_by_each_bars_volume_and_what_made_no_bar(seed: int, start: str) -> None:
    day_volume: dict[str, Decimal] = {}
    for _, event in run(model(seed, start), 30):
        if event["ev"] == "A":
            so_far = Decimal(event["dav"])
            assert event["av"] == int(so_far)
            assert so_far >= day_volume.get(event["sym"], Decimal(0)) + Decimal(event["dv"])
            day_volume[event["sym"]] = so_far
    assert day_volume


def test_a_minute_bar_is_what_its_counting_trades_add_up_to() -> None:
    tape = run(model(5, "2026-11-20T11:00"), 120)
    trades = trades_by(tape, 60_000)
    minutes = {(event["sym"], event["s"]): event for _, event in tape if event["ev"] == "AM"}
    assert len(minutes) > 50
    for key, minute in minutes.items():
        check_bar(minute, trades[key])
        assert minute["e"] - minute["s"] == 60_000


def test_the_day_vwap_is_that_of_all_trades_so_far() -> None:
    bars = 0
    tape = run(model(6, "2026-11-20T04:00", events_per_s=3000), 60)
    trades = [event for _, event in tape if event["ev"] == "T" and counts(event) & Counts.VOLUME]
    for _, event in tape:
        if event["ev"] == "A":
            bars += 1
            before = [trade for trade in trades if trade["sym"] == event["sym"] and trade["t"] < event["e"]]
            shares = sum(Decimal(trade["ds"]) for trade in before)
            # The day began with the run.
            assert Decimal(event["dav"]) == shares
            notional = sum(trade["p"] * float(trade["ds"]) for trade in before)
            assert event["a"] == pytest.approx(notional / float(shares), abs=1e-4)
    assert bars > 20


def test_the_official_open_is_zero_before_the_open_and_the_opening_auctions_price_after_it() -> None:
    opens_ms = new_york_ms("2026-11-20T09:30")
    first: dict[str, float] = {}
    official: dict[str, float] = {}
    bars = [0, 0]
    for _, event in run(model(7, "2026-11-20T09:29:30"), 60):
        if event["ev"] == "T" and event["t"] >= opens_ms:
            if event.get("c") == [25]:
                assert event["sym"] not in first
                first[event["sym"]] = event["p"]
            elif event.get("c") == [16]:
                official[event["sym"]] = event["p"]
        elif event["ev"] == "A":
            regular = event["s"] >= opens_ms
            bars[regular] += 1
            assert event["op"] == (first[event["sym"]] if regular else 0.0)
    assert min(bars) > 0
    assert official == first


def test_closing_auctions_come_after_the_close_and_are_the_days_close() -> None:
    market = model(7, "2026-11-20T15:59:50")
    closing: dict[str, float] = {}
    for _, event in run(market, 40):
        if event["ev"] == "T" and event.get("c") == [8]:
            closing[event["sym"]] = event["p"]
    assert len(closing) > 40
    bars = market.bars.as_bars()
    for symbol, price in closing.items():
        assert bars.close[market.universe.slot[symbol]] == price


def test_bars_are_sent_again_when_a_late_print_belongs_to_them() -> None:
    """From 3 s to 15 minutes late, with more volume; what is sent last is what all of its prints add up to."""
    start = new_york_ms("2026-11-20T12:00")
    market = MarketModel(
        calendar(), symbols=60, seed=1, events_per_s=1500.0, start_ms=start, world=World(late_bars=True)
    )
    first: dict[tuple[str, int], Event] = {}
    again = 0
    for due_ms, event in run(market, 90):
        if event["ev"] == "A":
            key = event["sym"], event["s"]
            if key in first:
                again += 1
                assert Decimal(event["dv"]) > Decimal(first[key]["dv"])
                assert (event["o"], event["c"]) == (first[key]["o"], first[key]["c"])
                assert event["h"] >= first[key]["h"]
                assert event["l"] <= first[key]["l"]
                assert 2000 < due_ms - event["e"] < 900_000
            first[key] = event
    assert again > 3
