"""The simulated market: the same from a seed, and consistent in itself."""

from collections import defaultdict
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.calendar import NEW_YORK, TradingCalendar
from producers.simulator.luld import HALTED, RESTATED, RESUMED, BandEvents
from producers.simulator.market import KINDS, MarketModel
from producers.simulator.symbols import MAX_SYMBOLS, make_universe

ALL = frozenset(KINDS)
Event = dict[str, Any]


@cache
def calendar() -> TradingCalendar:
    return TradingCalendar()


def new_york_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)


def model(seed: int, start: str, symbols: int = 60, events_per_s: float = 300.0) -> MarketModel:
    return MarketModel(calendar(), symbols=symbols, seed=seed, events_per_s=events_per_s, start_ms=new_york_ms(start))


def run(market: MarketModel, seconds: int) -> list[tuple[int, Event]]:
    """Due time and event of so many seconds, decoded from their JSON."""
    tape: list[tuple[int, Event]] = []
    for _ in range(seconds):
        encoded = market.encode(market.second(), ALL)
        tape += zip(encoded.due_ms.tolist(), map(msgspec.json.decode, encoded.events), strict=True)
    return tape


starts = st.sampled_from(["2026-11-20T07:00", "2026-11-20T09:29:40", "2026-11-20T12:00", "2026-11-20T15:59:40"])


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), start=starts)
def test_the_same_seed_gives_the_same_events_at_the_same_times(seed: int, start: str) -> None:
    first, second = model(seed, start), model(seed, start)
    for _ in range(40):
        one, two = first.encode(first.second(), ALL), second.encode(second.second(), ALL)
        assert one.events == two.events
        assert one.due_ms.tolist() == two.due_ms.tolist()


def test_another_seed_gives_other_events() -> None:
    assert run(model(1, "2026-11-20T12:00"), 5) != run(model(2, "2026-11-20T12:00"), 5)


def test_what_is_encoded_does_not_change_what_is_drawn() -> None:
    watched, unwatched = model(3, "2026-11-20T12:00"), model(3, "2026-11-20T12:00")
    run(watched, 30)
    for _ in range(30):
        unwatched.encode(unwatched.second(), frozenset())
    assert run(watched, 5) == run(unwatched, 5)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), start=starts)
def test_a_second_bar_is_what_its_trades_add_up_to(seed: int, start: str) -> None:
    tape = run(model(seed, start), 60)
    trades: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for _, event in tape:
        if event["ev"] == "T":
            trades[event["sym"], event["t"] // 1000 * 1000].append(event)
    bars = {(event["sym"], event["s"]): event for _, event in tape if event["ev"] == "A"}
    assert bars
    assert bars.keys() == trades.keys()
    for key, bar in bars.items():
        prices, sizes = [trade["p"] for trade in trades[key]], [trade["s"] for trade in trades[key]]
        assert bar["v"] == sum(sizes)
        assert (bar["o"], bar["h"], bar["l"], bar["c"]) == (prices[0], max(prices), min(prices), prices[-1])
        assert bar["vw"] == pytest.approx(np.dot(prices, sizes) / sum(sizes), abs=1e-4)
        assert bar["e"] - bar["s"] == 1000


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), start=starts)
def test_a_days_volume_rises_by_each_bars_volume(seed: int, start: str) -> None:
    day_volume: dict[str, int] = {}
    for _, event in run(model(seed, start), 60):
        if event["ev"] == "A":
            symbol = event["sym"]
            if symbol in day_volume:
                assert event["av"] == day_volume[symbol] + event["v"]
            assert event["av"] >= event["v"]
            day_volume[symbol] = event["av"]
    assert day_volume


def test_a_minute_bar_is_what_its_second_bars_add_up_to() -> None:
    tape = run(model(5, "2026-11-20T11:00"), 120)
    seconds: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for _, event in tape:
        if event["ev"] == "A":
            seconds[event["sym"], event["s"] // 60_000 * 60_000].append(event)
    minutes = {(event["sym"], event["s"]): event for _, event in tape if event["ev"] == "AM"}
    assert minutes.keys() == seconds.keys()
    for key, minute in minutes.items():
        bars = seconds[key]
        assert minute["v"] == sum(bar["v"] for bar in bars)
        assert minute["av"] == bars[-1]["av"]
        assert (minute["o"], minute["c"]) == (bars[0]["o"], bars[-1]["c"])
        assert (minute["h"], minute["l"]) == (max(bar["h"] for bar in bars), min(bar["l"] for bar in bars))
        assert minute["e"] - minute["s"] == 60_000


def test_the_day_vwap_is_that_of_all_trades_so_far() -> None:
    notional: dict[str, float] = defaultdict(float)
    shares: dict[str, int] = defaultdict(int)
    bars = 0
    for _, event in run(model(6, "2026-11-20T04:00", events_per_s=3000), 120):
        if event["ev"] == "T":
            notional[event["sym"]] += event["p"] * event["s"]
            shares[event["sym"]] += event["s"]
        elif event["ev"] == "A":
            bars += 1
            # The day began with the run; a bar is due after the trades of its second.
            assert event["av"] == shares[event["sym"]]
            assert event["a"] == pytest.approx(notional[event["sym"]] / shares[event["sym"]], abs=1e-4)
    assert bars > 50


def test_the_official_open_is_zero_before_the_open_and_the_first_regular_price_after_it() -> None:
    opens_ms = new_york_ms("2026-11-20T09:30")
    first: dict[str, float] = {}
    bars = [0, 0]
    for _, event in run(model(7, "2026-11-20T09:29:30"), 60):
        if event["ev"] == "T" and event["t"] >= opens_ms:
            first.setdefault(event["sym"], event["p"])
        elif event["ev"] == "A":
            regular = event["s"] >= opens_ms
            bars[regular] += 1
            assert event["op"] == (first[event["sym"]] if regular else 0.0)
    assert min(bars) > 0


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), start=starts)
def test_sequences_rise_and_deliveries_are_in_time_order(seed: int, start: str) -> None:
    tape = run(model(seed, start), 40)
    due = [at for at, _ in tape]
    assert due == sorted(due)
    last: dict[tuple[str, str], int] = {}
    for _, event in tape:
        if event["ev"] in ("T", "Q"):
            key = event["ev"], event["sym"]
            assert event["q"] > last.get(key, 0)
            last[key] = event["q"]
    assert last


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), start=starts)
def test_prices_and_quotes_are_sound(seed: int, start: str) -> None:
    for _, event in run(model(seed, start), 30):
        if event["ev"] == "Q":
            assert 0 < event["bp"] < event["ap"]
            assert min(event["bs"], event["as"]) > 0
        elif event["ev"] == "T":
            assert event["p"] > 0
            assert event["s"] > 0
            assert event["z"] in (1, 2, 3)


@cache
def volatile_tape() -> list[tuple[int, Event]]:
    """Half an hour with surges, on few events."""
    return run(model(1, "2026-11-20T09:45", symbols=400, events_per_s=100), 1800)


def test_a_halted_symbol_is_silent_until_it_resumes() -> None:
    halted: dict[str, int] = {}
    halts, resumptions = 0, 0
    for _, event in volatile_tape():
        if event["ev"] == "LULD":
            if HALTED in event["i"]:
                halted[event["T"]] = event["t"] // 1_000_000
                assert (event["h"], event["l"], event["z"]) == (0, 0, 3)
                halts += 1
            elif RESUMED in event["i"]:
                assert event["t"] // 1_000_000 - halted.pop(event["T"]) == 300_000
                resumptions += 1
        elif event["ev"] in ("T", "Q"):
            assert event["sym"] not in halted
        elif event["ev"] == "A":
            # The bar of the second before the halt comes when the halt begins.
            assert event["s"] < halted.get(event["sym"], event["e"])
    assert halts > 0
    assert resumptions > 0


def test_halts_are_told_of_nasdaq_listed_symbols_only() -> None:
    """Of the others trading stops without a word, and new bands come when it goes on."""
    slot, code = np.arange(4), np.array([HALTED, RESUMED, HALTED, RESUMED])
    told = BandEvents(slot, np.full(4, 11.0), np.full(4, 9.0), code).told(np.array([3, 3, 1, 2]))
    assert told.slot.tolist() == [0, 1, 3]
    assert told.code.tolist() == [HALTED, RESUMED, RESTATED]
    assert told.upper.tolist() == [0.0, 11.0, 11.0]
    assert told.lower.tolist() == [0.0, 9.0, 9.0]


def test_most_bands_are_restated_values_and_their_times_are_in_ns() -> None:
    codes: dict[int, int] = defaultdict(int)
    for due_ms, event in volatile_tape():
        if event["ev"] == "LULD":
            codes[event["i"][0]] += 1
            assert event["t"] // 1_000_000 == due_ms
    assert codes[16] > 10 * (codes[17] + codes[18])


def test_trades_stay_within_their_bands() -> None:
    bands: dict[str, tuple[float, float]] = {}
    checked = 0
    for _, event in volatile_tape():
        if event["ev"] == "LULD":
            if HALTED in event["i"]:
                continue
            assert 0 < event["l"] < event["h"]
            bands[event["T"]] = event["l"], event["h"]
        elif event["ev"] == "T" and event["sym"] in bands:
            lower, upper = bands[event["sym"]]
            assert lower <= event["p"] <= upper
            checked += 1
    assert checked > 10_000


def test_the_mix_and_the_rate_are_those_asked_for() -> None:
    market = model(8, "2026-11-20T04:00", symbols=500, events_per_s=700)
    counts: dict[str, int] = defaultdict(int)
    market._skip_to(market.day.opens_ms)
    for _ in range(0, 23_400, 60):  # each minute's first second stands for the minute
        second = market.second()
        for kind, part in (("A", second.bars), ("T", second.trades), ("Q", second.quotes)):
            counts[kind] += len(part.slot)
        market.next_ms += 59_000
    seconds = 390
    assert sum(counts.values()) / seconds == pytest.approx(700, rel=0.1)
    assert counts["T"] / counts["A"] == pytest.approx(2, rel=0.15)
    assert counts["Q"] / counts["T"] == pytest.approx(2, rel=0.1)


def test_the_finished_day_becomes_the_previous_day() -> None:
    market = model(9, "2026-11-25T19:59:00", events_per_s=2000)
    run(market, 60)
    assert market.day_over
    with pytest.raises(ValueError, match="past it"):
        market.second()
    finished = market.bars.as_bars()
    market.next_day()
    # Thursday is Thanksgiving; Friday closes early, at 13:00.
    assert market.day.day == "2026-11-27"
    assert market.next_ms == new_york_ms("2026-11-27T04:00")
    traded = finished.volume > 0
    assert traded.any()
    assert (market.history.last.close[traded] == finished.close[traded]).all()
    assert market.history.days[-1] == "2026-11-25"
    assert all(event["ev"] != "LULD" for _, event in run(market, 5))


def test_some_symbols_gap_far_and_trade_more_than_usual() -> None:
    market = model(10, "2026-11-20T12:00", symbols=500)
    previous = market.history.last.close
    gaps = np.abs(market.prices.gap)
    assert 5 <= (gaps >= 0.05).sum() <= 100
    assert gaps.max() <= 0.8
    relative = market.bars.volume / market.history.average_volume()
    assert np.median(relative[market.prices.gapper]) > 1.3 * np.median(relative)
    assert (previous > 0).all()


@pytest.mark.parametrize("count", [1, 5, 500, MAX_SYMBOLS])
def test_tickers_are_unique_and_the_known_ones_come_first(count: int) -> None:
    universe = make_universe(count, 1)
    assert len(set(universe.tickers)) == count
    assert universe.tickers[:5] == ("AAPL", "MSFT", "NVDA", "TSLA", "SPY")[:count]
    assert universe.weight.sum() == pytest.approx(1)


def test_reference_data_has_the_gaps_of_the_vendors() -> None:
    universe = make_universe(500, 1)
    assert 0 < (~universe.has_ratios).sum() < 200
    assert (universe.free_float == 0).any()
    assert (universe.free_float < 0).any()


@pytest.mark.parametrize("count", [0, MAX_SYMBOLS + 1])
def test_a_universe_of_another_size_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 12000 symbols"):
        make_universe(count, 1)
