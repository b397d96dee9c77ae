"""The trade windows of a partition as a table: chunks by key, statistics of what changed, the tape of a symbol."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from app.market.events import Trade
from app.market.nbbo import Nbbo
from app.market.trade_conditions import ConditionTable
from app.market.trade_statistics import WindowStatistics
from app.market.trade_windows import TapeTrade, TradeWindows
from app.market.window_merge import TOP_WINDOWS, HandedWindow, busiest_of

_Int32 = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
_Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_DecimalText = Annotated[str, Meta(pattern=r"^[0-9]{1,15}(\.[0-9]{0,12})?$")]
#: Up to the year 2100. A time in another unit would make every window look idle.
_EpochMs = Annotated[int, Meta(ge=0, lt=4_102_444_800_000)]


class WindowTrade(Trade, frozen=True, tag_field="ev", tag="T", gc=False):
    """A trade that fits the columns of a window; what does not is refused by the decoder."""

    symbol: Annotated[str, Meta(min_length=1, max_length=64)] = msgspec.field(name="sym")
    exchange: _Int32 | None = msgspec.field(default=None, name="x")
    id: Annotated[str, Meta(max_length=64)] | None = msgspec.field(default=None, name="i")
    tape: _Int32 | None = msgspec.field(default=None, name="z")
    conditions: Annotated[list[_Int32], Meta(max_length=32)] | None = msgspec.field(default=None, name="c")
    timestamp: _EpochMs | None = msgspec.field(default=None, name="t")
    sequence_number: _Int64 | None = msgspec.field(default=None, name="q")
    trf_id: _Int32 | None = msgspec.field(default=None, name="trfi")
    trf_timestamp: _Int64 | None = msgspec.field(default=None, name="trft")
    decimal_size: _DecimalText | Annotated[float, Meta(ge=0)] | None = msgspec.field(default=None, name="ds")


class TapePartition:
    """The windows of one partition's symbols, loaded from and written as chunks under `SYMBOL/slot`.

    `quotes` gives the quotes by which the side of new trades is told, `conditions` what they count for.
    """

    def __init__(
        self, quotes: Callable[[], Mapping[str, Nbbo]] = dict, conditions: ConditionTable | None = None
    ) -> None:
        self.windows = TradeWindows(conditions)
        self._quotes = quotes
        self._statistics: dict[str, WindowStatistics] = {}
        self._stale: set[str] = set()

    def load(self, key: str, value: bytes) -> None:
        """Take a chunk from the changelog, in any order. Raises `ValueError`: not a chunk."""
        symbol, _, slot = key.rpartition("/")
        self.windows.load_chunk(symbol, int(slot), value)
        self._stale.add(symbol)

    def finish_loading(self) -> None:
        """All chunks are there."""
        self.windows.finish_loading()

    def fold(self, trades: Sequence[WindowTrade]) -> None:
        """Append trades in the order of their arrival, and drop windows as soon as they have been idle.

        The windows are the same wherever trades are cut into batches. Raises `ValueError`: a decimal size is none.
        """
        windows, quotes = self.windows, self._quotes()
        by_symbol: dict[str, list[Trade]] = {}
        until_ms = windows.agreed_ms
        for trade in trades:
            by_symbol.setdefault(trade.symbol, []).append(trade)
            if trade.timestamp is not None and trade.timestamp > until_ms:
                until_ms = trade.timestamp
        if windows.outlive(by_symbol, until_ms):
            # No window of these can end in between, so that their order among each other does not matter.
            for symbol, of_symbol in by_symbol.items():
                if windows.append(symbol, of_symbol, quotes.get(symbol)):
                    self._stale.add(symbol)
            self._stale.update(windows.expire(windows.agreed_ms))
            return
        for trade in trades:
            if windows.append(trade.symbol, (trade,), quotes.get(trade.symbol)):
                self._stale.add(trade.symbol)
            self._stale.update(windows.expire(windows.agreed_ms))

    def drop_later_than(self, limit_ms: float) -> None:
        """Drop the windows of a time (epoch ms) that cannot be yet: a wrong trade of before there was a bound."""
        self._stale.update(self.windows.drop_later_than(limit_ms))

    def take_changes(self) -> dict[str, bytes | None]:
        """The chunks that changed since the last call, None for one that is gone."""
        return {f"{symbol}/{slot}": data for symbol, slot, data in self.windows.dirty_chunks()}

    def refresh(self, most: int) -> None:
        """Compute the statistics of at most so many windows that changed."""
        for symbol in [self._stale.pop() for _ in range(min(most, len(self._stale)))]:
            found = self.windows.statistics(symbol)
            if found is None:
                self._statistics.pop(symbol, None)
            else:
                self._statistics[symbol] = found

    def handed(self, top: int = TOP_WINDOWS) -> dict[str, HandedWindow]:
        """Every window for the merge, all figures of the busiest; only those of windows that changed are computed."""
        self.refresh(len(self._stale))
        windows = {symbol: HandedWindow(found) for symbol, found in self._statistics.items()}
        for symbol in busiest_of(windows, top):
            windows[symbol] = HandedWindow(
                self._statistics[symbol], self.windows.detail(symbol, self._statistics[symbol])
            )
        return windows


def read_tape(
    symbol: str, chunks: Mapping[int, bytes], limit: int | None = None, conditions: ConditionTable | None = None
) -> list[TapeTrade]:
    """The trades of a symbol for readers, newest first, from its chunks by slot; `conditions` names theirs.

    Raises `ValueError`: not a chunk.
    """
    return _loaded(symbol, chunks, conditions).tape(symbol, limit)


def _loaded(symbol: str, chunks: Mapping[int, bytes], conditions: ConditionTable | None) -> TradeWindows:
    windows = TradeWindows(conditions)
    for slot, data in chunks.items():
        windows.load_chunk(symbol, slot, data)
    windows.finish_loading()
    return windows
