"""The simulated market: the same from a seed, and consistent in itself."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.simulator.answers import Answers
from producers.simulator.market import MarketModel, World
from producers.simulator.symbols import MAX_SYMBOLS, make_universe
from tests.unit.producers.simulator.markets import ALL, calendar, model, new_york_ms, run, starts


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


def test_the_market_has_securities_of_all_kinds_and_symbols_with_lower_case_letters() -> None:
    universe = make_universe(500, 1, test_symbols=True)
    assert {"CS", "ETF", "WARRANT", "UNIT", "RIGHT", "PFD"} == set(universe.kinds)
    assert {"BApA", "KIMpL", "ZVZZT", "ZWZZT", "ZXZZT"} <= set(universe.tickers)
    pairs = [ticker for ticker in universe.tickers if ticker.endswith("w") and ticker[:-1] + "W" in universe.slot]
    assert pairs, "ABCw beside ABCW"
    assert "ZVZZT" not in make_universe(500, 1, test_symbols=False).slot
    assert universe.is_new.any()
    assert universe.renamed


def test_each_day_has_a_split_and_a_reverse_split() -> None:
    market = model(1, "2026-11-20T12:00", symbols=500)
    forward, reverse = market.splits.by_day["2026-11-20"]
    assert forward.new > forward.old
    assert reverse.new < reverse.old
    for split in (forward, reverse):
        previous = market.history.last.close[split.slot] * split.old / split.new
        assert market.prices.mid[split.slot] == pytest.approx(previous, rel=0.9)
    rows = Answers(market, 1).splits(lambda _, day: day == "2026-11-20")
    assert {row["adjustment_type"] for row in rows} == {"forward_split", "reverse_split"}


def test_an_overnight_session_begins_at_nine_in_the_evening() -> None:
    start = new_york_ms("2026-11-22T21:00")  # a Sunday
    market = MarketModel(
        calendar(), symbols=60, seed=1, events_per_s=3000.0, start_ms=start, world=World(overnight=True)
    )
    assert (market.day.day, market.next_ms) == ("2026-11-23", start)
    assert any(event["ev"] == "T" for _, event in run(market, 30))
    market.next_ms = market.day.after_hours_end_ms
    market.next_day()
    assert market.next_ms == new_york_ms("2026-11-23T21:00")


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
            assert event["q"] >= last.get(key, 0)
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
            assert float(event["ds"]) > 0
            assert event["s"] == int(float(event["ds"]))
            assert event["z"] in (1, 2, 3)


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
    traded = finished.close > 0
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
    relative = market.bars.volume / np.maximum(market.history.average_volume(market.splits), 1)
    assert np.median(relative[market.prices.gapper]) > 1.3 * np.median(relative)
    assert ((previous > 0) != market.universe.is_new).all(), "only what is newly listed has no day before"


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


def test_bars_of_companies_that_trade_over_the_counter_say_so_and_they_have_no_bands() -> None:
    market = MarketModel(
        calendar(), symbols=300, seed=1, events_per_s=3000.0, start_ms=new_york_ms("2026-11-20T09:29:50"),
        world=World(otc=True),
    )  # fmt: skip
    over = {ticker for ticker, otc in zip(market.universe.tickers, market.universe.otc.tolist(), strict=True) if otc}
    assert over
    tape = [event for _, event in run(market, 40)]
    bars = [event for event in tape if event["ev"] == "A"]
    assert {event["sym"] for event in bars if event.get("otc")} == {event["sym"] for event in bars} & over != set()
    assert all(event["otc"] is True for event in bars if "otc" in event), "left out where it is false"
    banded = {event["T"] for event in tape if event["ev"] == "LULD"}
    assert banded
    assert not banded & over
