"""A symbol's best bid and offer."""

from collections.abc import Iterable

from msgspec import Struct

from app.market.events import Quote

#: Quotes have at most 4 decimals (Regulation NMS, Rule 612: $0.0001 under a dollar); half of one has 5.
PRICE_DIGITS = 6


class Nbbo(Struct, frozen=True, gc=False):
    """The last quote of a symbol. `spread` and `mid` are None where a side has no price.

    Prices in US dollars, sizes as the vendor gives them, `timestamp` in epoch ms. A locked market
    has a spread of 0, a crossed one a negative spread. `received_ns` is when the producer received
    the quote.
    """

    symbol: str
    bid_price: float | None
    bid_size: float | None
    bid_exchange: int | None
    ask_price: float | None
    ask_size: float | None
    ask_exchange: int | None
    spread: float | None
    mid: float | None
    timestamp: int
    sequence_number: int
    received_ns: int | None = None


def newest_quotes(events: Iterable[Quote]) -> dict[str, tuple[Quote, int]]:
    """Of each symbol the quote that is in force after all of them, and its place among them.

    To fold these into a state is to fold all. Raises `ValueError` as `fold_nbbo` does.
    """
    newest: dict[str, tuple[Quote, int]] = {}
    for place, event in enumerate(events):
        symbol = event.symbol
        if not symbol or event.timestamp is None:
            fold_nbbo(None, event)
            continue
        found = newest.get(symbol)
        if found is None or _not_before(event, found[0]):
            newest[symbol] = event, place
    return newest


def _not_before(event: Quote, other: Quote) -> bool:
    at_ms, other_ms = event.timestamp or 0, other.timestamp or 0
    if at_ms != other_ms:
        return at_ms > other_ms
    return (event.sequence_number or 0) >= (other.sequence_number or 0)


def fold_nbbo(state: Nbbo | None, event: Quote, received_ns: int | None = None) -> Nbbo | None:
    """The state after a quote, or None when the quote is older (time, then sequence) and left out.

    Raises `ValueError`: a quote without symbol or time, or of another symbol.
    """
    symbol = event.symbol
    if not symbol:
        raise ValueError("expected a quote with a symbol (`sym`), was without")
    if event.timestamp is None:
        raise ValueError(f"expected a time (`t`) in the quote of {symbol}, was without")
    sequence = event.sequence_number or 0
    if state is not None:
        if state.symbol != symbol:
            raise ValueError(f"expected a quote of {state.symbol}, was one of {symbol}")
        if (event.timestamp, sequence) < (state.timestamp, state.sequence_number):
            return None
    bid, ask = event.bid_price, event.ask_price
    # A price of 0 is how the tape says that this side is empty.
    quoted = bool(bid) and bool(ask)
    return Nbbo(
        symbol,
        bid,
        event.bid_size,
        event.bid_exchange,
        ask,
        event.ask_size,
        event.ask_exchange,
        round(ask - bid, PRICE_DIGITS) if quoted and bid is not None and ask is not None else None,
        round((bid + ask) / 2, PRICE_DIGITS) if quoted and bid is not None and ask is not None else None,
        event.timestamp,
        sequence,
        received_ns,
    )
