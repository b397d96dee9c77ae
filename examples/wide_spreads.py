"""An analyzer in one file: the widest spread of each symbol today, from the raw quotes.

TAPEREADER_ANALYZERS=examples.wide_spreads:analyzer python -m app.analyzers
"""

import msgspec

from app.analyzers import Analyzer
from app.market.events import Quote
from app.stream import PartitionView, RecordBatch


class WidestSpread(msgspec.Struct, frozen=True):
    """A symbol's widest spread in US dollars, and when it was (epoch ms)."""

    symbol: str
    spread: float
    timestamp: int


decode = msgspec.json.Decoder(list[Quote]).decode


def fold(view: PartitionView[WidestSpread], batch: RecordBatch) -> None:
    """Keep the widest; a quote of which a side is empty says nothing."""
    for quote in batch.decoded(decode):
        if not quote.symbol or not quote.bid_price or not quote.ask_price or quote.timestamp is None:
            continue
        spread = quote.ask_price - quote.bid_price
        before = view.get(quote.symbol)
        if before is None or spread > before.spread:
            view[quote.symbol] = WidestSpread(quote.symbol, spread, quote.timestamp)


analyzer = Analyzer("wide-spreads", "massive.quotes", "examples.wide-spreads", WidestSpread, fold)
