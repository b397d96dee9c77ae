"""The simulated market: the same from a seed, and consistent in itself."""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.calendar import NEW_YORK, TradingCalendar
from app.market.trade_conditions import ConditionTable, Counts
from producers.simulator.answers import Answers
from producers.simulator.luld import HALTED, RESTATED, RESUMED, BandEvents
from producers.simulator.market import MarketModel, World
from producers.simulator.second import KINDS
from producers.simulator.shares import decimal, decimals
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


#: The platform's own table: what the simulator makes of a print must be what the platform makes of it.
TABLE = ConditionTable()


def counts(trade: Event) -> int:
    return TABLE.counts(tuple(trade.get("c", ())), trade["p"], trade["t"])


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


@cache
def volatile_tape() -> list[tuple[int, Event]]:
    """Half an hour with surges, on few events."""
    return run(model(4, "2026-11-20T09:45", symbols=400, events_per_s=100), 1800)


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
        elif event["ev"] == "T" and event["sym"] in bands and counts(event) & Counts.LAST:
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
