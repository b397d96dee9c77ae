"""The trade windows as an analyzer: state that is changed in place and written in chunks.

TAPEREADER_ANALYZERS=examples.own_windows:analyzer python -m app.analyzers
"""

import msgspec

from app.analyzers import InPlaceAnalyzer
from app.market.trade_tape import TapePartition, WindowTrade

analyzer = InPlaceAnalyzer(
    "own-windows",
    "massive.trades",
    "examples.own-windows",
    decode_events=msgspec.json.Decoder(list[WindowTrade]).decode,
    make=lambda partition: TapePartition(),
    key="symbol/slot",
)
