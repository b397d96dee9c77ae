"""On which side of the market a trade was made, where the quote is known."""

from enum import IntEnum

from app.market.nbbo import Nbbo

#: A quote is in force for this long after it was made, unless another one comes.
QUOTE_VALID_MS = 5 * 60_000
#: A quote that was read a little before the trade that it follows is still the best that is known.
QUOTE_AHEAD_MS = 1000


class Side(IntEnum):
    """The side of a trade: below the middle of the quote it was sold at the bid, above it bought at the ask."""

    BID = -1
    UNKNOWN = 0
    ASK = 1


def side_of(price: float | None, at_ms: int | None, quote: Nbbo | None) -> Side:
    """The side of a trade by the quote rule (Lee and Ready, 1991, without its tick test).

    Unknown: no price or time, no quote with both sides, a crossed one, one that is not of the time of
    the trade, and a trade in the very middle.
    """
    if not price or not at_ms or quote is None or quote.mid is None or quote.spread is None or quote.spread < 0:
        return Side.UNKNOWN
    if not quote.timestamp - QUOTE_AHEAD_MS <= at_ms <= quote.timestamp + QUOTE_VALID_MS:
        return Side.UNKNOWN
    if price == quote.mid:
        return Side.UNKNOWN
    return Side.ASK if price > quote.mid else Side.BID
