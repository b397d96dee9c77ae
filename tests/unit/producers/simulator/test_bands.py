"""Simulated price bands and halts: what is told of them, and what they hold."""

from collections import defaultdict
from functools import cache

import numpy as np

from app.market.trade_conditions import Counts
from producers.simulator.luld import HALTED, RESTATED, RESUMED, BandEvents
from tests.unit.producers.simulator.markets import Event, counts, model, run


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
    events, over = BandEvents(slot, np.full(4, 11.0), np.full(4, 9.0), code), np.zeros(4, dtype=np.bool_)
    told = events.told(np.array([3, 3, 1, 2]), over)
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
