"""Massive's events as they stand on the wire, typed; words within, the wire's letters at the edge.

Every field is optional on the wire: a missing number is None, a missing list is empty. Prices are
US dollars, sizes and volumes shares, times Unix epoch milliseconds unless the name says otherwise.
Source: Massive's WebSocket documentation for stocks.
"""

from math import inf

from msgspec import Struct, field

#: A number of shares with its fractions, as a decimal string on the wire.
Decimal = str | float


class Aggregate(Struct, frozen=True, tag_field="ev", tag="A", gc=False):
    """A bar of one second (`A`)."""

    symbol: str | None = field(default=None, name="sym")
    volume: float | None = field(default=None, name="v")
    accumulated_volume: float | None = field(default=None, name="av")
    official_open_price: float | None = field(default=None, name="op")
    vwap: float | None = field(default=None, name="vw")
    open: float | None = field(default=None, name="o")
    close: float | None = field(default=None, name="c")
    high: float | None = field(default=None, name="h")
    low: float | None = field(default=None, name="l")
    aggregate_vwap: float | None = field(default=None, name="a")
    average_size: float | None = field(default=None, name="z")
    start_timestamp: int | None = field(default=None, name="s")
    end_timestamp: int | None = field(default=None, name="e")
    decimal_volume: Decimal | None = field(default=None, name="dv")
    decimal_accumulated_volume: Decimal | None = field(default=None, name="dav")
    otc: bool | None = None


class MinuteAggregate(Aggregate, frozen=True, tag_field="ev", tag="AM", gc=False):
    """A bar of one minute (`AM`)."""


class Trade(Struct, frozen=True, tag_field="ev", tag="T", gc=False):
    """A print (`T`).

    `size` is the whole part of a print's shares, 0 of one below a share; `decimal_size` has all of it.
    """

    symbol: str | None = field(default=None, name="sym")
    exchange: int | None = field(default=None, name="x")
    id: str | None = field(default=None, name="i")
    tape: int | None = field(default=None, name="z")
    price: float | None = field(default=None, name="p")
    size: float | None = field(default=None, name="s")
    conditions: list[int] | None = field(default=None, name="c")
    timestamp: int | None = field(default=None, name="t")
    sequence_number: int | None = field(default=None, name="q")
    trf_id: int | None = field(default=None, name="trfi")
    trf_timestamp: int | None = field(default=None, name="trft")
    decimal_size: Decimal | None = field(default=None, name="ds")
    participant_timestamp: int | None = field(default=None, name="pt")


class Quote(Struct, frozen=True, tag_field="ev", tag="Q", gc=False):
    """The national best bid and offer (`Q`)."""

    symbol: str | None = field(default=None, name="sym")
    bid_exchange: int | None = field(default=None, name="bx")
    bid_price: float | None = field(default=None, name="bp")
    bid_size: float | None = field(default=None, name="bs")
    ask_exchange: int | None = field(default=None, name="ax")
    ask_price: float | None = field(default=None, name="ap")
    ask_size: float | None = field(default=None, name="as")
    condition: int | None = field(default=None, name="c")
    indicators: list[int] | None = field(default=None, name="i")
    timestamp: int | None = field(default=None, name="t")
    sequence_number: int | None = field(default=None, name="q")
    tape: int | None = field(default=None, name="z")


class LimitUpLimitDown(Struct, frozen=True, tag_field="ev", tag="LULD", gc=False):
    """A symbol's price bands and halt indicators (`LULD`); the time's unit varies on the wire."""

    symbol: str | None = field(default=None, name="T")
    upper_band: float | None = field(default=None, name="h")
    lower_band: float | None = field(default=None, name="l")
    indicators: list[int] | None = field(default=None, name="i")
    tape: int | None = field(default=None, name="z")
    timestamp: int | None = field(default=None, name="t")
    sequence_number: int | None = field(default=None, name="q")


class PreviousDay(Struct, frozen=True, gc=False):
    """The previous trading day's bar of a symbol."""

    close: float | None = field(default=None, name="c")
    open: float | None = field(default=None, name="o")
    high: float | None = field(default=None, name="h")
    low: float | None = field(default=None, name="l")
    volume: float | None = field(default=None, name="v")
    vwap: float | None = field(default=None, name="vw")


class Reference(Struct, frozen=True, gc=False):
    """Reference data of a symbol, as a record of `massive.reference`.

    `day` is the trading day (ISO date) for which it holds, that is the one after `previous_day`'s.
    None means not known; 0 is a number like others. `split` is the split that is executed on the day
    ("20:1": of 20 shares one was made), by which the figures are adjusted already. `unsettled` names the
    parts that could not be asked yet: they are asked for again.
    """

    symbol: str
    day: str
    previous_day: PreviousDay | None = None
    avg_volume: float | None = None
    free_float: float | None = None
    split: str | None = None
    unsettled: tuple[str, ...] = ()


def exact_shares(decimal: Decimal | None, whole: float | None) -> float | None:
    """Shares with their fractions where the wire has them, else the whole part; None: neither.

    Raises `ValueError`: the decimal is no number of shares.
    """
    if decimal is None:
        return whole
    try:
        shares = float(decimal)
    except ValueError:
        shares = -1.0
    # Not a number is in no order with others.
    if not 0.0 <= shares < inf:
        raise ValueError(f"expected a number of shares as a decimal, was {decimal!r}")
    return shares


def epoch_ms(stamp: int) -> int:
    """A stamp in ms, µs or ns as ms, told apart by magnitude (the vendor's documents disagree)."""
    if stamp >= 10**17:
        return stamp // 1_000_000
    if stamp >= 10**14:
        return stamp // 1_000
    return stamp
