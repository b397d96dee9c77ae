"""The trades of a tape as they came in, for comparing them with what was sent."""

from collections.abc import Mapping

from app.market.events import Trade
from app.market.trade_tape import read_tape
from app.market.trade_windows import TapeTrade, TradeWindows


def trades_of(windows: TradeWindows, symbol: str) -> list[Trade]:
    """The trades of a symbol's window, newest first; what was missing is 0 or empty."""
    return list(map(_trade, windows.tape(symbol)))


def trades_of_chunks(symbol: str, chunks: Mapping[int, bytes]) -> list[Trade]:
    """As `trades_of`, from the symbol's chunks by slot."""
    return list(map(_trade, read_tape(symbol, chunks)))


def _trade(found: TapeTrade) -> Trade:
    return Trade(
        found.symbol, found.exchange, found.id, found.tape, found.price, found.size, list(found.conditions),
        found.timestamp, found.sequence_number, found.trf_id, found.trf_timestamp,
    )  # fmt: skip
