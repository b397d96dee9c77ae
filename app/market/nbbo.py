"""A symbol's best bid and offer."""

import math
from collections.abc import Sequence
from itertools import repeat

from msgspec import Struct

from app.market.bounds import check_time
from app.market.events import Quote

#: Quotes have at most 4 decimals (Regulation NMS, Rule 612: $0.0001 under a dollar); half of one has 5.
PRICE_DIGITS = 6


class Nbbo(Struct, frozen=True, gc=False):
    """The last quote of a symbol. A side without a price (0 on the tape) is None, and so are `spread` and `mid`.

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


def newest_quotes(
    events: Sequence[Quote], limits_ms: Sequence[float] | None = None
) -> tuple[dict[str, tuple[Quote, int]], int]:
    """Of each symbol the quote that is in force after all of them and its place among them; how many came too late.

    To fold these into a state is to fold all. `limits_ms` has the latest time that each may have. Raises `ValueError`
    as `fold_nbbo` does.
    """
    newest: dict[str, tuple[Quote, int]] = {}
    late = 0
    for place, (event, limit_ms) in enumerate(zip(events, limits_ms or repeat(math.inf), strict=False)):
        symbol = event.symbol
        if not symbol or event.timestamp is None or event.timestamp > limit_ms:
            fold_nbbo(None, event, limit_ms=limit_ms)
            continue
        found = newest.get(symbol)
        if found is None or _not_before(event, found[0]):
            newest[symbol] = event, place
        else:
            late += 1
    return newest, late


def _not_before(event: Quote, other: Quote) -> bool:
    at_ms, other_ms = event.timestamp or 0, other.timestamp or 0
    if at_ms != other_ms:
        return at_ms > other_ms
    return (event.sequence_number or 0) >= (other.sequence_number or 0)


def fold_nbbo(
    state: Nbbo | None, event: Quote, received_ns: int | None = None, limit_ms: float = math.inf
) -> Nbbo | None:
    """The state after a quote, or None when the quote is older (time, then sequence) and left out.

    `limit_ms` is the latest time that a quote received now may have: a state that is later was made by a wrong one
    and does not count. Raises `ValueError`: a quote without symbol or time, later than the limit, or of another
    symbol.
    """
    symbol = event.symbol
    if not symbol:
        raise ValueError("expected a quote with a symbol (`sym`), was without")
    if event.timestamp is None:
        raise ValueError(f"expected a time (`t`) in the quote of {symbol}, was without")
    if event.timestamp > limit_ms:
        check_time(symbol, event.timestamp, limit_ms)
    sequence = event.sequence_number or 0
    if state is not None and state.timestamp <= limit_ms:
        if state.symbol != symbol:
            raise ValueError(f"expected a quote of {state.symbol}, was one of {symbol}")
        if (event.timestamp, sequence) < (state.timestamp, state.sequence_number):
            return None
    # A price of 0 is how the tape says that this side is empty.
    bid, ask = event.bid_price or None, event.ask_price or None
    return Nbbo(
        symbol,
        bid,
        event.bid_size,
        event.bid_exchange,
        ask,
        event.ask_size,
        event.ask_exchange,
        round(ask - bid, PRICE_DIGITS) if bid is not None and ask is not None else None,
        round((bid + ask) / 2, PRICE_DIGITS) if bid is not None and ask is not None else None,
        event.timestamp,
        sequence,
        received_ns,
    )
