"""The last 1,000 trades of each symbol and their statistics.

Numbers stand in one numpy ring per symbol that grows with use. For a changelog the trades are
numbered from 0 since the window began and cut into chunks of 20, so that a flush writes the chunks
that were touched, not the window. A window is dropped 5 minutes of event time after its last trade.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.market.events import Trade

WINDOW_TRADES = 1000
WINDOW_IDLE_MS = 5 * 60_000
#: Of a few trades per symbol and batch, 20 write a fifth of the bytes that 100 do.
CHUNK_TRADES = 20
#: Chunks that a window can touch: its newest and its oldest may both be partial.
CHUNK_SLOTS = WINDOW_TRADES // CHUNK_TRADES + 1

_FIRST_CAPACITY = 16
_NUMBERS = np.dtype(
    [
        ("price", "f8"),
        ("size", "f8"),
        ("timestamp", "i8"),
        ("sequence_number", "i8"),
        ("trf_timestamp", "i8"),
        ("exchange", "i4"),
        ("tape", "i4"),
        ("trf_id", "i4"),
    ]
)


class WindowStatistics(Struct, frozen=True, gc=False):
    """A window in figures: shares, US dollars and ms; the latest trade is the last that arrived."""

    total_volume: float
    trade_count: int
    avg_size: float
    max_size: float
    time_span_ms: int
    latest_price: float
    latest_timestamp: int
    latest_exchange: int


class _Kept(Struct, frozen=True, array_like=True, gc=False):
    """A trade of a window as its changelog holds it; what was missing is 0 or empty."""

    price: float
    size: float
    timestamp: int
    sequence_number: int
    trf_timestamp: int
    exchange: int
    tape: int
    trf_id: int
    id: str
    conditions: tuple[int, ...]


class _Chunk(Struct, frozen=True, array_like=True):
    first: int
    last_ms: int
    trades: list[_Kept]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Chunk).decode


def _kept(trade: Trade) -> _Kept:
    return _Kept(
        trade.price or 0.0,
        trade.size or 0.0,
        trade.timestamp or 0,
        trade.sequence_number or 0,
        trade.trf_timestamp or 0,
        trade.exchange or 0,
        trade.tape or 0,
        trade.trf_id or 0,
        trade.id or "",
        tuple(trade.conditions or ()),
    )


def _whole(shares: float) -> float:
    return int(shares) if shares.is_integer() else shares


class _Window:
    """One symbol's ring. Trade number n stands at n modulo the capacity."""

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.end = first
        self.last_ms = 0
        self._highest_sequence = 0
        self._numbers: NDArray[np.void] = np.zeros(WINDOW_TRADES if first else _FIRST_CAPACITY, _NUMBERS)
        self._texts: list[tuple[str, tuple[int, ...]]] = [("", ())] * len(self._numbers)

    def extend(self, trades: list[_Kept]) -> None:
        """Append trades that are known to be new."""
        if not trades:
            return
        for trade in trades:
            if trade.timestamp > self.last_ms:
                self.last_ms = trade.timestamp
            if trade.sequence_number > self._highest_sequence:
                self._highest_sequence = trade.sequence_number
        self._grow(self.end - self.first + len(trades))
        skipped = max(0, len(trades) - WINDOW_TRADES)
        written = trades[skipped:] if skipped else trades
        start = (self.end + skipped) % len(self._numbers)
        before_wrap = len(self._numbers) - start
        self._put(start, written[:before_wrap])
        self._put(0, written[before_wrap:])
        self.end += len(trades)
        self.first = max(self.first, self.end - WINDOW_TRADES)

    def holds(self, trade: _Kept) -> bool:
        """Whether the trade is in the window: by its sequence number, else by exchange and id."""
        if trade.sequence_number:
            if trade.sequence_number > self._highest_sequence:
                return False
            return bool((self.numbers()["sequence_number"] == trade.sequence_number).any())
        if not trade.id:
            return False
        return any(
            kept.id == trade.id and kept.exchange == trade.exchange and not kept.sequence_number
            for kept in self.kept(self.first, self.end)
        )

    def numbers(self) -> NDArray[np.void]:
        """The window's numbers in no particular order."""
        return self._numbers[: self.end - self.first] if self.first == 0 else self._numbers

    def kept(self, begin: int, end: int) -> Iterator[_Kept]:
        """The trades numbered from `begin` to before `end`, in order."""
        for fields in self.rows(begin, end):
            yield _Kept(*fields)

    def rows(self, begin: int, end: int) -> list[tuple[Any, ...]]:
        """As `kept`, each trade as the tuple of its fields."""
        begin, end = max(begin, self.first), min(end, self.end)
        if begin >= end:
            return []
        start = begin % len(self._numbers)
        stop = start + end - begin
        numbers, texts = self._numbers[start:stop].tolist(), self._texts[start:stop]
        if stop > len(self._numbers):
            stop -= len(self._numbers)
            numbers, texts = numbers + self._numbers[:stop].tolist(), texts + self._texts[:stop]
        return [(*fields, *text) for fields, text in zip(numbers, texts, strict=True)]

    def _put(self, start: int, trades: list[_Kept]) -> None:
        if not trades:
            return
        rows = [msgspec.structs.astuple(trade) for trade in trades]
        stop = start + len(rows)
        if len(rows) == 1:
            # Most of a flush are single trades of many symbols; this is a third of an array's cost.
            self._numbers[start] = rows[0][:-2]
        else:
            self._numbers[start:stop] = [row[:-2] for row in rows]
        self._texts[start:stop] = [row[-2:] for row in rows]

    def statistics(self) -> WindowStatistics:
        numbers = self.numbers()
        latest = self._numbers[(self.end - 1) % len(self._numbers)]
        total = float(numbers["size"].sum())
        times = numbers["timestamp"]
        times = times[times != 0]
        return WindowStatistics(
            total_volume=_whole(total),
            trade_count=len(numbers),
            avg_size=round(total / len(numbers), 2),
            max_size=_whole(float(numbers["size"].max())),
            time_span_ms=int(times.max() - times.min()) if len(times) else 0,
            latest_price=float(latest["price"]),
            latest_timestamp=int(latest["timestamp"]),
            latest_exchange=int(latest["exchange"]),
        )

    def _grow(self, trades: int) -> None:
        capacity = len(self._numbers)
        if trades <= capacity or capacity == WINDOW_TRADES:
            return
        larger = min(WINDOW_TRADES, max(trades, capacity * 2))
        # Before it is full, number and place are the same, so that growing moves nothing.
        self._numbers = np.concatenate([self._numbers, np.zeros(larger - capacity, _NUMBERS)])
        self._texts.extend([("", ())] * (larger - capacity))


class TradeWindows:
    """The trade windows of a partition's symbols."""

    def __init__(self) -> None:
        self._windows: dict[str, _Window] = {}
        # What the changelog holds, and what of it has to be written again.
        self._stored: dict[str, set[int]] = {}
        self._dirty: dict[str, set[int]] = {}
        self._loading: dict[str, list[_Chunk]] = {}

    def __contains__(self, symbol: object) -> bool:
        return symbol in self._windows

    def __len__(self) -> int:
        return len(self._windows)

    def symbols(self) -> list[str]:
        """The symbols that have a window."""
        return list(self._windows)

    def append(self, symbol: str, trades: Iterable[Trade]) -> int:
        """Append a symbol's trades in the order of their arrival; the number that were new.

        Trades that the window holds already are left out. A trade more than 5 minutes after the
        window's last starts the window afresh.
        """
        added = 0
        fresh: list[_Kept] = []
        seen: set[tuple[int, int, str]] = set()
        window = self._windows.get(symbol)
        last_ms = window.last_ms if window is not None else 0
        for kept in map(_kept, trades):
            if last_ms and kept.timestamp > last_ms + WINDOW_IDLE_MS:
                added += self._extend(symbol, fresh)
                self._drop(symbol)
                window, fresh, seen = None, [], set()
            sequence = kept.sequence_number
            key = (sequence, 0, "") if sequence else (0, kept.exchange, kept.id)
            if (window is not None and window.holds(kept)) or key in seen:
                # Only now, so that what a batch itself pushed out is not held against its later trades.
                added += self._extend(symbol, fresh)
                window, fresh, seen = self._windows[symbol], [], set()
                if window.holds(kept):
                    continue
            seen.add(key)
            fresh.append(kept)
            last_ms = max(last_ms, kept.timestamp)
        return added + self._extend(symbol, fresh)

    def expire(self, event_ms: int) -> list[str]:
        """Drop the windows whose last trade is 5 minutes or longer before a time; their symbols."""
        gone = [symbol for symbol, window in self._windows.items() if window.last_ms + WINDOW_IDLE_MS <= event_ms]
        for symbol in gone:
            self._drop(symbol)
        return gone

    def newest_ms(self) -> int:
        """The time (epoch ms) of the newest trade in any window, 0 where there is none."""
        return max((window.last_ms for window in self._windows.values()), default=0)

    def statistics(self, symbol: str) -> WindowStatistics | None:
        """The statistics of a symbol's window, None where there is none."""
        window = self._windows.get(symbol)
        return None if window is None else window.statistics()

    def trades(self, symbol: str) -> list[Trade]:
        """The trades of a symbol's window, newest first."""
        window = self._windows.get(symbol)
        if window is None:
            return []
        fields = [field for field in _Kept.__struct_fields__ if field != "conditions"]
        trades = [
            Trade(symbol=symbol, conditions=list(kept.conditions), **{name: getattr(kept, name) for name in fields})
            for kept in window.kept(window.first, window.end)
        ]
        return trades[::-1]

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
            skipped = max(0, len(trades) - WINDOW_TRADES)
            window = _Window(connected[-1].first + skipped)
            window.extend(trades[skipped:])
            window.last_ms = connected[0].last_ms
            self._windows[symbol] = window
        self._loading.clear()

    def _extend(self, symbol: str, trades: list[_Kept]) -> int:
        if trades:
            window = self._windows.get(symbol)
            if window is None:
                window = self._windows[symbol] = _Window()
            begin = window.end
            window.extend(trades)
            begin = max(begin, window.first) // CHUNK_TRADES
            touched = range(begin, (window.end - 1) // CHUNK_TRADES + 1)
            self._dirty.setdefault(symbol, set()).update(chunk % CHUNK_SLOTS for chunk in touched)
        return len(trades)

    def _drop(self, symbol: str) -> None:
        if self._windows.pop(symbol, None) is not None:
            self._dirty.setdefault(symbol, set()).update(range(CHUNK_SLOTS))

    def _encoded(self, symbol: str, slots: set[int]) -> Iterator[tuple[int, bytes | None]]:
        window = self._windows.get(symbol)
        present: dict[int, int] = {}
        if window is not None:
            chunks = range(window.first // CHUNK_TRADES, (window.end - 1) // CHUNK_TRADES + 1)
            present = {chunk % CHUNK_SLOTS: chunk for chunk in chunks}
        for slot in sorted(slots):
            if window is None or slot not in present:
                yield slot, None
                continue
            first = max(window.first, present[slot] * CHUNK_TRADES)
            rows = window.rows(first, (present[slot] + 1) * CHUNK_TRADES)
            yield slot, _encode((first, window.last_ms, rows))
