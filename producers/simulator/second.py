"""The events of one virtual second, and how they become JSON in order of delivery."""

from typing import Final

import numpy as np
from msgspec import Struct

from producers.simulator.bars import BarColumns
from producers.simulator.ordering import order_of
from producers.simulator.symbols import Ints, Universe
from producers.simulator.wire import Bands, Bar, MinuteBar, Quotes, Trades, encode_bars

KINDS: Final = ("LULD", "T", "Q", "A", "AM")


class Second(Struct, frozen=True):
    """The events of one virtual second.

    Bands are due at its start, bars at its end: `sent` are the second bars whose turn it is, those of 2 s before, and
    `again` (second bars) and `minutes_again` those that a late print has changed, one row in each. `bars` are the
    second's own.
    """

    start_ms: int
    trades: Trades
    quotes: Quotes
    bars: BarColumns
    sent: list[BarColumns]
    minute: BarColumns | None
    again: list[BarColumns]
    minutes_again: list[BarColumns]
    bands: Bands


class Encoded(Struct, frozen=True):
    """Events in order of delivery: when each is due (epoch ms), its type, its symbol, its JSON."""

    due_ms: Ints
    kinds: list[str]
    slots: list[int]
    events: list[bytes]


def encoded(second: Second, kinds: frozenset[str], universe: Universe) -> Encoded:
    """The events of the wanted types as JSON, in order of delivery; costs only what is wanted."""
    start_ms, tickers, tape = second.start_ms, universe.tickers, universe.tape
    parts: list[tuple[str, Ints, Ints, list[bytes]]] = []
    if "LULD" in kinds and len(second.bands.slot):
        slot = second.bands.slot
        parts.append(("LULD", np.zeros_like(slot), slot, second.bands.encode(start_ms, tickers, tape)))
    if "T" in kinds:
        trades = second.trades
        parts.append(("T", trades.at, trades.slot, trades.encode(start_ms, tickers, tape)))
    if "Q" in kinds:
        quotes = second.quotes
        parts.append(("Q", quotes.at, quotes.slot, quotes.encode(start_ms, tickers, tape)))
    minutes = second.minutes_again if second.minute is None else [*second.minutes_again, second.minute]
    for kind, sent, form in (("A", [*second.again, *second.sent], Bar), ("AM", minutes, MinuteBar)):
        for bars in sent if kind in kinds else ():
            events = encode_bars(bars, tickers, form, universe.otc)
            parts.append((kind, np.full(len(bars.slot), 1000), bars.slot, events))
    if not parts:
        return Encoded(np.zeros(0, dtype=np.int64), [], [], [])
    at = np.concatenate([part[1] for part in parts])
    order = order_of(at)
    names = [kind for kind, _, slot, _ in parts for _ in range(len(slot))]
    slots = np.concatenate([part[2] for part in parts])[order].tolist()
    events = [event for part in parts for event in part[3]]
    places = order.tolist()
    return Encoded(at[order] + start_ms, [names[place] for place in places], slots, [events[place] for place in places])
