"""Massive's events as bytes: columns in, one JSON object per event out.

The field names are the wire's. These types are not those of `app.market.events`: a simulator that
encoded with the types the platform decodes with would hide a mistake in them.
"""

from typing import Final

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from msgspec.json import Encoder

from producers.simulator.bars import BarColumns
from producers.simulator.symbols import Floats, Ints

_encode = Encoder().encode

#: The trade reporting facility's exchange number: its prints carry the facility's own stamp.
FINRA: Final = 4
ODD_LOT: Final = 37
EXTENDED_HOURS: Final = 12
_CONDITIONS: Final = (UNSET, [ODD_LOT], [EXTENDED_HOURS], [EXTENDED_HOURS, ODD_LOT])


class Bar(Struct, gc=False, tag_field="ev", tag="A"):
    """A second bar."""

    sym: str
    v: int
    av: int
    op: float
    vw: float
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the wire's name
    a: float
    z: int
    s: int
    e: int


class MinuteBar(Bar, gc=False, tag_field="ev", tag="AM"):
    """A minute bar."""


class Trade(Struct, gc=False, tag_field="ev", tag="T"):
    """A print."""

    sym: str
    x: int
    i: str
    z: int
    p: float
    s: int
    c: list[int] | UnsetType
    t: int
    q: int
    trfi: int | UnsetType = UNSET
    trft: int | UnsetType = UNSET


class Quote(Struct, gc=False, tag_field="ev", tag="Q", rename={"as_": "as"}):
    """The best bid and offer."""

    sym: str
    bx: int
    bp: float
    bs: int
    ax: int
    ap: float
    as_: int
    c: int
    t: int
    q: int
    z: int


class Band(Struct, gc=False, tag_field="ev", tag="LULD"):
    """Price bands."""

    T: str
    h: float
    l: float  # noqa: E741 - the wire's name
    i: list[int]
    z: int
    t: int
    q: int


class Trades(Struct, frozen=True):
    """Trades in time order; `at` is ms within their second, prices US dollars, sizes shares."""

    slot: Ints
    at: Ints
    price: Floats
    size: Ints
    exchange: Ints
    sequence: Ints
    first_id: int
    extended_hours: bool

    def conditions(self, place: int) -> list[int]:
        """The conditions of one of the trades."""
        found = _CONDITIONS[int(self.size[place] < 100) + 2 * self.extended_hours]
        return [] if isinstance(found, UnsetType) else found

    def encode(self, start_ms: int, tickers: tuple[str, ...], tape: Ints) -> list[bytes]:
        """One JSON object per trade."""
        condition = (self.size < 100) + 2 * self.extended_hours
        events = []
        for number, (slot, exchange, z, price, size, code, at, sequence) in enumerate(
            zip(
                self.slot.tolist(),
                self.exchange.tolist(),
                tape[self.slot].tolist(),
                self.price.tolist(),
                self.size.tolist(),
                condition.tolist(),
                (self.at + start_ms).tolist(),
                self.sequence.tolist(),
                strict=True,
            ),
            self.first_id,
        ):
            trade = Trade(tickers[slot], exchange, str(number), z, price, size, _CONDITIONS[code], at, sequence)
            if exchange == FINRA:
                trade.trfi, trade.trft = 201 + (sequence & 1), at
            events.append(_encode(trade))
        return events


class Quotes(Struct, frozen=True):
    """Quotes in time order; sizes are shares in round lots of 100."""

    slot: Ints
    at: Ints
    bid: Floats
    ask: Floats
    bid_size: Ints
    ask_size: Ints
    bid_exchange: Ints
    ask_exchange: Ints
    sequence: Ints

    def encode(self, start_ms: int, tickers: tuple[str, ...], tape: Ints) -> list[bytes]:
        """One JSON object per quote."""
        return [
            _encode(Quote(tickers[slot], bx, bid, bs, ax, ask, size, 0, at, sequence, z))
            for slot, bx, bid, bs, ax, ask, size, at, sequence, z in zip(
                self.slot.tolist(),
                self.bid_exchange.tolist(),
                self.bid.tolist(),
                self.bid_size.tolist(),
                self.ask_exchange.tolist(),
                self.ask.tolist(),
                self.ask_size.tolist(),
                (self.at + start_ms).tolist(),
                self.sequence.tolist(),
                tape[self.slot].tolist(),
                strict=True,
            )
        ]


def encode_bars(bars: BarColumns, tickers: tuple[str, ...], kind: type[Bar]) -> list[bytes]:
    """One JSON object per bar, of type `A` or `AM`."""
    average = np.maximum(np.round(bars.volume / bars.trades), 1).astype(np.int64)
    return [
        _encode(kind(tickers[slot], v, av, op, vw, o, c, h, low, a, z, bars.start_ms, bars.end_ms))
        for slot, v, av, op, vw, o, c, h, low, a, z in zip(
            bars.slot.tolist(),
            bars.volume.tolist(),
            bars.day_volume.tolist(),
            bars.official_open.tolist(),
            bars.vwap.round(4).tolist(),
            bars.open.tolist(),
            bars.close.tolist(),
            bars.high.tolist(),
            bars.low.tolist(),
            bars.day_vwap.round(4).tolist(),
            average.tolist(),
            strict=True,
        )
    ]


class Bands(Struct, frozen=True):
    """LULD events at the start of a second; bands in US dollars."""

    slot: Ints
    upper: Floats
    lower: Floats
    code: Ints
    sequence: Ints

    def encode(self, start_ms: int, tickers: tuple[str, ...], tape: Ints) -> list[bytes]:
        """One JSON object per event; its time is in ns, as on the wire (the vendor's text says ms)."""
        start_ns = start_ms * 1_000_000
        return [
            _encode(Band(tickers[slot], upper, lower, [code], z, start_ns, sequence))
            for slot, upper, lower, code, z, sequence in zip(
                self.slot.tolist(),
                self.upper.tolist(),
                self.lower.tolist(),
                self.code.tolist(),
                tape[self.slot].tolist(),
                self.sequence.tolist(),
                strict=True,
            )
        ]
