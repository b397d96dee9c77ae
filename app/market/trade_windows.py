"""The last 1,000 trades of each symbol.

For a changelog the trades are numbered from 0 since the window began and cut into chunks of 20, so
that a flush writes the chunks that were touched, not the window. A window is dropped 5 minutes of
event time after its last trade: once three symbols (or all, where there are fewer) have traded so much later.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from app.market import trade_ring
from app.market.agreed_time import AgreedTime
from app.market.events import Trade
from app.market.exchanges import exchange_name
from app.market.nbbo import Nbbo
from app.market.trade_chunks import FreshRows, chunk_json, encoded_rows
from app.market.trade_conditions import ConditionTable, Counts
from app.market.trade_pace import Pace
from app.market.trade_ring import Kept, Ring, kept
from app.market.trade_sides import Side, side_of
from app.market.trade_statistics import WindowDetail, WindowStatistics, detail_of, side_name, statistics_of

_UNKNOWN: Final = Side.UNKNOWN
_QUOTED: Final = Counts.QUOTED
WINDOW_IDLE_MS = 5 * 60_000
#: Of a few trades per symbol and batch, 20 write a fifth of the bytes that 100 do.
CHUNK_TRADES = 20
#: Chunks that a window can touch: its newest and its oldest may both be partial.
CHUNK_SLOTS = trade_ring.WINDOW_TRADES // CHUNK_TRADES + 1


class TapeTrade(Struct, frozen=True, gc=False):
    """A trade of a window for readers; what was missing is 0 or empty, times are epoch ms.

    `side` is `bid` or `ask` by the quote of that moment, None where it was not known or did not make the price.
    `counts_volume`, `sets_high_low` and `sets_last` say what the trade counts for by its conditions: a bar takes its
    high and low, open and close from those that set them only. A condition that nobody knows is named by its number,
    `exchange_name` is None where it is not known.
    """

    symbol: str
    price: float
    size: float
    timestamp: int
    sequence_number: int
    exchange: int
    tape: int
    id: str
    conditions: tuple[int, ...]
    trf_id: int
    trf_timestamp: int
    side: str | None
    counts_volume: bool
    sets_high_low: bool
    sets_last: bool
    condition_names: tuple[str, ...]
    exchange_name: str | None
    event_type: str = "T"


class _Chunk(Struct, frozen=True, array_like=True):
    """Trades from number `first`; the newest chunk also says where the window stands."""

    first: int
    last_ms: int
    trades: list[Kept]
    pace: tuple[int, int, int, float] | None = None


_decode = msgspec.json.Decoder(_Chunk).decode


def _surely_new(batch: list[Kept], window: Ring | None) -> bool:
    """Whether no trade is known, and none is so late that it starts the window afresh.

    That is so where sequence numbers rise from above the window's; most batches are such.
    """
    if not batch:
        return True
    sequence, last_ms = (0, batch[0].timestamp) if window is None else (window.highest_sequence, window.last_ms)
    latest_ms = last_ms + WINDOW_IDLE_MS if last_ms else 0
    for trade in batch:
        if trade.sequence_number <= sequence or trade.timestamp > latest_ms:
            return False
        sequence = trade.sequence_number
    return True


class TradeWindows:
    """The trade windows of a partition's symbols."""

    def __init__(self, conditions: ConditionTable | None = None) -> None:
        self._conditions = conditions or ConditionTable()
        self._windows: dict[str, Ring] = {}
        self._fresh: dict[str, FreshRows] = {}
        # What the changelog holds, and what of it has to be written again.
        self._stored: dict[str, set[int]] = {}
        self._dirty: dict[str, set[int]] = {}
        self._loading: dict[str, list[_Chunk]] = {}
        # No window's last trade is before this: until it is idle no window is.
        self._none_before_ms = 0
        self._times = AgreedTime()
        # Whose windows have grown since their times were compared.
        self._grown: set[str] = set()

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._windows

    def __len__(self) -> int:
        return len(self._windows)

    def symbols(self) -> list[str]:
        """The symbols that have a window."""
        return list(self._windows)

    def append(self, symbol: str, trades: Iterable[Trade], quote: Nbbo | None = None) -> int:
        """Append a symbol's trades in the order of their arrival; the number that were new.

        Trades that the window holds already are left out. A trade more than 5 minutes after the
        window's last starts the window afresh. What a trade counts for is by its conditions, its side by `quote`;
        both are kept with it. Raises `ValueError`: a decimal size is none.
        """
        counts_of, fixed, batch = self._conditions.counts, self._conditions.fixed, []
        for each in trades:
            conditions, price, at_ms = tuple(each.conditions or ()), each.price, each.timestamp
            counts = fixed.get(conditions) if price else None
            if counts is None:
                counts = counts_of(conditions, price, at_ms)
            quoted = quote is not None and counts & _QUOTED
            batch.append(kept(each, conditions, side_of(price, at_ms, quote) if quoted else _UNKNOWN, counts))
        window = self._windows.get(symbol)
        if _surely_new(batch, window):
            return self._extend(symbol, batch)
        return self._append_checked(symbol, batch)

    def _append_checked(self, symbol: str, batch: list[Kept]) -> int:
        """As `append`, trade by trade."""
        added = 0
        fresh: list[Kept] = []
        seen: set[tuple[int, int, int, str]] = set()
        window = self._windows.get(symbol)
        last_ms = window.last_ms if window is not None else 0
        for trade in batch:
            if last_ms and trade.timestamp > last_ms + WINDOW_IDLE_MS:
                added += self._extend(symbol, fresh)
                self._drop(symbol)
                window, fresh, seen = None, [], set()
            key = (trade.sequence_number, trade.exchange, trade.trf_id, trade.id)
            if (window is not None and window.holds(trade)) or key in seen:
                # Only now, so that what a batch itself pushed out is not held against its later trades.
                added += self._extend(symbol, fresh)
                window, fresh, seen = self._windows[symbol], [], set()
                if window.holds(trade):
                    continue
            seen.add(key)
            fresh.append(trade)
            last_ms = max(last_ms, trade.timestamp)
        return added + self._extend(symbol, fresh)

    @property
    def agreed_ms(self) -> int:
        """The time (epoch ms) that the windows' newest trades agree on, 0 where there are none."""
        return self._compared().ms

    def outlive(self, trades: Mapping[str, Sequence[Trade]], until_ms: int) -> bool:
        """Whether no window of symbols with new trades can be idle at a time or before."""
        since_ms, find = until_ms - WINDOW_IDLE_MS, self._windows.get
        for symbol, of_symbol in trades.items():
            window = find(symbol)
            if (window.last_ms if window is not None else of_symbol[0].timestamp or 0) <= since_ms:
                return False
        return True

    def expire(self, event_ms: int) -> list[str]:
        """Drop the windows whose last trade is 5 minutes or longer before a time; their symbols."""
        if event_ms < self._none_before_ms + WINDOW_IDLE_MS:
            return []
        gone = [symbol for symbol, window in self._windows.items() if window.last_ms + WINDOW_IDLE_MS <= event_ms]
        for symbol in gone:
            self._drop(symbol)
        self._none_before_ms = min((window.last_ms for window in self._windows.values()), default=event_ms)
        return gone

    def drop_later_than(self, limit_ms: float) -> list[str]:
        """Drop the windows whose last trade is after a time that cannot be yet; their symbols."""
        if self._compared().newest_ms <= limit_ms:
            return []
        gone = [symbol for symbol, window in self._windows.items() if window.last_ms > limit_ms]
        for symbol in gone:
            self._drop(symbol)
        return gone

    def statistics(self, symbol: str) -> WindowStatistics | None:
        """The statistics of a symbol's window, None where there is none."""
        window = self._windows.get(symbol)
        return None if window is None else statistics_of(window)

    def detail(self, symbol: str, statistics: WindowStatistics | None = None) -> WindowDetail | None:
        """All figures of a symbol's window, None where there is none; `statistics` where they are known."""
        window = self._windows.get(symbol)
        return None if window is None else detail_of(window, statistics or statistics_of(window))

    def tape(self, symbol: str, limit: int | None = None) -> list[TapeTrade]:
        """The trades of a symbol's window, newest first, at most `limit`."""
        return [
            TapeTrade(
                symbol, trade.price, trade.size, trade.timestamp, trade.sequence_number, trade.exchange, trade.tape,
                trade.id, trade.conditions, trade.trf_id, trade.trf_timestamp, side_name(trade.side),
                bool(trade.counts & Counts.VOLUME), bool(trade.counts & Counts.HIGH_LOW),
                bool(trade.counts & Counts.LAST), self._conditions.names(trade.conditions),
                exchange_name(trade.exchange, trade.trf_id),
            )
            for trade in self._newest_first(symbol, limit)
        ]  # fmt: skip

    def dirty_chunks(self) -> list[tuple[str, int, bytes | None]]:
        """What has to be written since the last call: symbol, chunk slot, JSON or None to delete it."""
        chunks: list[tuple[str, int, bytes | None]] = []
        for symbol, slots in self._dirty.items():
            stored = self._stored.setdefault(symbol, set())
            for slot, data in self._encoded(symbol, slots):
                if data is not None:
                    stored.add(slot)
                    chunks.append((symbol, slot, data))
                elif slot in stored:
                    stored.discard(slot)
                    chunks.append((symbol, slot, None))
            if not stored:
                del self._stored[symbol]
            if symbol in self._fresh:
                newest = (self._windows[symbol].end - 1) // CHUNK_TRADES
                self._fresh[symbol].forget_before(newest * CHUNK_TRADES)
        self._dirty.clear()
        return chunks

    def load_chunk(self, symbol: str, slot: int, data: bytes) -> None:
        """Take a chunk from the changelog, in any order; `finish_loading` makes windows of them.

        Raises `msgspec.DecodeError`, a `ValueError`: not a chunk.
        """
        self._loading.setdefault(symbol, []).append(_decode(data))
        self._stored.setdefault(symbol, set()).add(slot)

    def finish_loading(self) -> None:
        """Make windows of the chunks that were loaded; what does not connect to the newest is old."""
        for symbol, chunks in self._loading.items():
            chunks.sort(key=lambda chunk: chunk.first)
            connected = [chunks.pop()]
            while chunks and chunks[-1].first + len(chunks[-1].trades) == connected[-1].first:
                connected.append(chunks.pop())
            trades = [trade for chunk in reversed(connected) for trade in chunk.trades]
            skipped = max(0, len(trades) - trade_ring.WINDOW_TRADES)
            window = Ring(connected[-1].first + skipped)
            window.extend(trades[skipped:])
            window.last_ms = connected[0].last_ms
            if connected[0].pace is not None:
                window.pace = Pace(*connected[0].pace)
            self._windows[symbol] = window
            self._grown.add(symbol)
        self._loading.clear()

    def _compared(self) -> AgreedTime:
        if self._grown:
            self._times.see_all({symbol: self._windows[symbol].last_ms for symbol in self._grown})
            self._grown.clear()
        return self._times

    def _newest_first(self, symbol: str, limit: int | None = None) -> list[Kept]:
        window = self._windows.get(symbol)
        if window is None:
            return []
        first = window.first if limit is None else window.end - limit
        return list(window.kept(first, window.end))[::-1]

    def _extend(self, symbol: str, trades: list[Kept]) -> int:
        if trades:
            window = self._windows.get(symbol)
            if window is None:
                window = self._windows[symbol] = Ring()
            begin = window.end
            window.extend(trades)
            self._grown.add(symbol)
            if window.last_ms < self._none_before_ms:
                self._none_before_ms = window.last_ms
            fresh = self._fresh.get(symbol)
            if fresh is None:
                fresh = self._fresh[symbol] = FreshRows(begin)
            fresh.extend(trades)
            begin, newest = max(begin, window.first) // CHUNK_TRADES, (window.end - 1) // CHUNK_TRADES
            touched = self._dirty.get(symbol)
            if touched is None:
                touched = self._dirty[symbol] = set()
            # Mostly one chunk: a generator for it takes as long as all of the rest here.
            if begin == newest:
                touched.add(newest % CHUNK_SLOTS)
            else:
                touched.update(chunk % CHUNK_SLOTS for chunk in range(begin, newest + 1))
        return len(trades)

    def _drop(self, symbol: str) -> None:
        if self._windows.pop(symbol, None) is not None:
            self._fresh.pop(symbol, None)
            self._grown.discard(symbol)
            self._times.forget(symbol)
            self._dirty.setdefault(symbol, set()).update(range(CHUNK_SLOTS))

    def _encoded(self, symbol: str, slots: set[int]) -> Iterator[tuple[int, bytes | None]]:
        window = self._windows.get(symbol)
        for slot in sorted(slots):
            newest = -1 if window is None else (window.end - 1) // CHUNK_TRADES
            # Of the chunks that a slot stands for in turn, the latest that has begun.
            chunk = newest - (newest - slot) % CHUNK_SLOTS
            if window is None or chunk < window.first // CHUNK_TRADES:
                yield slot, None
                continue
            first, end = max(window.first, chunk * CHUNK_TRADES), min(window.end, (chunk + 1) * CHUNK_TRADES)
            fresh = self._fresh.get(symbol)
            rows = None if fresh is None else fresh.rows(first, end)
            if rows is None:
                rows = encoded_rows(window.rows(first, end))
            yield slot, chunk_json(first, window.last_ms, rows, window.pace.state() if chunk == newest else None)
