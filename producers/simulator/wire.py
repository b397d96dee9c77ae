"""Massive's events as bytes: columns in, one JSON object per event out.

The field names are the wire's. These types are not those of `app.market.events`: a simulator that
encoded with the types the platform decodes with would hide a mistake in them.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice, repeat
from typing import Any, Final

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from msgspec.json import Encoder

from producers.simulator.bars import BarColumns
from producers.simulator.conditions import CONDITIONS
from producers.simulator.shares import SHARE, decimals
from producers.simulator.symbols import Flags, Floats, Ints

_encode_lines = Encoder().encode_lines

#: Events that are encoded at once: their bytes stay in the processor's cache.
BLOCK: Final = 256

#: The trade reporting facility's exchange number: its prints carry the facility's own stamp.
FINRA: Final = 4
_CONDITIONS: Final = tuple(held or UNSET for held in CONDITIONS)


class Bar(Struct, gc=False, tag_field="ev", tag="A"):
    """A second bar: `v` and `av` are the whole parts of `dv` and `dav`."""

    sym: str
    v: int
    dv: str
    av: int
    dav: str
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
    otc: bool | UnsetType = UNSET


class MinuteBar(Bar, gc=False, tag_field="ev", tag="AM"):
    """A minute bar."""


class Trade(Struct, gc=False, tag_field="ev", tag="T"):
    """A print: `s` is the whole part of `ds`, and 0 below one share."""

    sym: str
    x: int
    i: str
    z: int
    p: float
    s: int
    ds: str
    c: tuple[int, ...] | UnsetType
    t: int
    q: int
    pt: int
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
    """Trades in time order; `at` is ms within their second, prices US dollars, sizes millionths of a share.

    `facility` is that of FINRA's prints, 0 of others; `id` is unique for exchange and facility; `code` is that of
    `conditions.CONDITIONS`; `late_ms` passed between the trade and its report.
    """

    slot: Ints
    at: Ints
    price: Floats
    size: Ints
    exchange: Ints
    facility: Ints
    id: Ints
    sequence: Ints
    code: Ints
    late_ms: Ints

    def encode(self, start_ms: int, tickers: tuple[str, ...], tape: Ints) -> list[bytes]:
        """One JSON object per trade."""
        stamp = self.at + start_ms
        stamps, facilities = stamp.tolist(), self.facility.tolist()
        return _encoded(
            Trade,
            _names(tickers, self.slot),
            self.exchange.tolist(),
            map(str, self.id.tolist()),
            tape[self.slot].tolist(),
            self.price.tolist(),
            (self.size // SHARE).tolist(),
            decimals(self.size),
            map(_CONDITIONS.__getitem__, self.code.tolist()),
            stamps,
            self.sequence.tolist(),
            (stamp - self.late_ms).tolist(),
            [facility or UNSET for facility in facilities],
            [at if facility else UNSET for at, facility in zip(stamps, facilities, strict=True)],
        )


class Quotes(Struct, frozen=True):
    """Quotes in time order; sizes are shares, in round lots of their price."""

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
        return _encoded(
            Quote,
            _names(tickers, self.slot),
            self.bid_exchange.tolist(),
            self.bid.tolist(),
            self.bid_size.tolist(),
            self.ask_exchange.tolist(),
            self.ask.tolist(),
            self.ask_size.tolist(),
            repeat(0),
            (self.at + start_ms).tolist(),
            self.sequence.tolist(),
            tape[self.slot].tolist(),
        )


def encode_bars(bars: BarColumns, tickers: tuple[str, ...], kind: type[Bar], otc: Flags) -> list[bytes]:
    """One JSON object per bar, of type `A` or `AM`; `otc` says of each symbol whether it trades over the counter."""
    average = np.maximum(np.round(bars.volume / bars.trades / SHARE), 1).astype(np.int64)
    return _encoded(
        kind,
        _names(tickers, bars.slot),
        (bars.volume // SHARE).tolist(),
        decimals(bars.volume),
        (bars.day_volume // SHARE).tolist(),
        decimals(bars.day_volume),
        bars.official_open.tolist(),
        bars.vwap.round(4).tolist(),
        bars.open.tolist(),
        bars.close.tolist(),
        bars.high.tolist(),
        bars.low.tolist(),
        bars.day_vwap.round(4).tolist(),
        average.tolist(),
        repeat(bars.start_ms),
        repeat(bars.end_ms),
        [True if over else UNSET for over in otc[bars.slot].tolist()],
    )


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
        return _encoded(
            Band,
            _names(tickers, self.slot),
            self.upper.tolist(),
            self.lower.tolist(),
            ([code] for code in self.code.tolist()),
            tape[self.slot].tolist(),
            repeat(start_ns),
            self.sequence.tolist(),
        )


def _names(tickers: tuple[str, ...], slots: Ints) -> Iterator[str]:
    return map(tickers.__getitem__, slots.tolist())


def _encoded(kind: Callable[..., Struct], *columns: Iterable[Any]) -> list[bytes]:
    """One JSON object for each row of columns; of half the time that one call of the encoder for each takes."""
    rows = map(kind, *columns)
    events: list[bytes] = []
    while block := list(islice(rows, BLOCK)):
        lines = _encode_lines(block).split(b"\n")
        lines.pop()
        events += lines
    return events
