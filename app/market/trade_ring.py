"""One symbol's last trades in a numpy ring that grows with use."""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.market.events import Trade
from app.market.trade_pace import Pace
from app.market.trade_sides import Side

WINDOW_TRADES = 1000

#: Trades that wait to be put into the columns: writing a few to numpy costs as much as writing many.
_MOST_WAITING = 64

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
        ("side", "i1"),
    ]
)


class Kept(Struct, frozen=True, array_like=True, gc=False):
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
    side: int = Side.UNKNOWN


def kept(trade: Trade, side: int) -> Kept:
    """A trade as a window keeps it."""
    return Kept(
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
        side,
    )


class Ring:
    """Trades numbered from 0 since the window began; number n stands at n modulo the capacity.

    The last few wait as they came until somebody looks at the columns.
    """

    def __init__(self, first: int = 0) -> None:
        self.first = first
        self.end = first
        self.last_ms = 0
        self.pace = Pace()
        self.highest_sequence = 0
        self._waiting: list[Kept] = []
        self._numbers: NDArray[np.void] = np.zeros(WINDOW_TRADES if first else _FIRST_CAPACITY, _NUMBERS)
        self._texts: list[tuple[str, tuple[int, ...]]] = [("", ())] * len(self._numbers)

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def full(self) -> bool:
        """Whether each new trade pushes one out."""
        return len(self) >= WINDOW_TRADES

    def extend(self, trades: list[Kept]) -> None:
        """Append trades that are known to be new."""
        add = self.pace.add
        for trade in trades:
            at_ms, sequence = trade.timestamp, trade.sequence_number
            add(at_ms)
            if at_ms > self.last_ms:
                self.last_ms = at_ms
            if sequence > self.highest_sequence:
                self.highest_sequence = sequence
        self._waiting += trades
        self.end += len(trades)
        if self.end - WINDOW_TRADES > self.first:
            self.first = self.end - WINDOW_TRADES
        if len(self._waiting) > _MOST_WAITING:
            self._settle()

    def _settle(self) -> None:
        trades = self._waiting
        if not trades:
            return
        self._waiting = []
        self._grow(self.end - self.first)
        written = trades[-WINDOW_TRADES:]
        start = (self.end - len(written)) % len(self._numbers)
        before_wrap = len(self._numbers) - start
        self._put(start, written[:before_wrap])
        self._put(0, written[before_wrap:])

    def holds(self, trade: Kept) -> bool:
        """Whether the trade is in the window: by its sequence number, else by exchange and id."""
        if trade.sequence_number:
            if trade.sequence_number > self.highest_sequence:
                return False
            return bool((self.numbers()["sequence_number"] == trade.sequence_number).any())
        if not trade.id:
            return False
        return any(
            found.id == trade.id and found.exchange == trade.exchange and not found.sequence_number
            for found in self.kept(self.first, self.end)
        )

    def numbers(self) -> NDArray[np.void]:
        """The trades' numbers in no particular order."""
        self._settle()
        return self._numbers[: self.end - self.first] if self.first == 0 else self._numbers

    def ordered(self) -> NDArray[np.void]:
        """The trades' numbers, oldest first; a copy where the ring has wrapped."""
        self._settle()
        start = self.first % len(self._numbers)
        stop = start + len(self)
        if stop <= len(self._numbers):
            return self._numbers[start:stop]
        return np.concatenate([self._numbers[start:], self._numbers[: stop - len(self._numbers)]])

    def latest(self) -> np.void:
        """The numbers of the trade that arrived last."""
        self._settle()
        found: np.void = self._numbers[(self.end - 1) % len(self._numbers)]
        return found

    def kept(self, begin: int, end: int) -> Iterator[Kept]:
        """The trades numbered from `begin` to before `end`, in order."""
        for fields in self.rows(begin, end):
            yield Kept(*fields)

    def rows(self, begin: int, end: int) -> list[tuple[Any, ...]]:
        """As `kept`, each trade as the tuple of its fields."""
        self._settle()
        begin, end = max(begin, self.first), min(end, self.end)
        if begin >= end:
            return []
        start = begin % len(self._numbers)
        stop = start + end - begin
        numbers, texts = self._numbers[start:stop].tolist(), self._texts[start:stop]
        if stop > len(self._numbers):
            stop -= len(self._numbers)
            numbers, texts = numbers + self._numbers[:stop].tolist(), texts + self._texts[:stop]
        return [(*fields[:-1], *text, fields[-1]) for fields, text in zip(numbers, texts, strict=True)]

    def _put(self, start: int, trades: list[Kept]) -> None:
        if not trades:
            return
        rows = [msgspec.structs.astuple(trade) for trade in trades]
        stop = start + len(rows)
        if len(rows) == 1:
            # Most of a flush are single trades of many symbols; this is a third of an array's cost.
            self._numbers[start] = (*rows[0][:-3], rows[0][-1])
        else:
            self._numbers[start:stop] = [(*row[:-3], row[-1]) for row in rows]
        self._texts[start:stop] = [row[-3:-1] for row in rows]

    def _grow(self, trades: int) -> None:
        capacity = len(self._numbers)
        if trades <= capacity or capacity == WINDOW_TRADES:
            return
        larger = min(WINDOW_TRADES, max(trades, capacity * 2))
        # Before it is full, number and place are the same, so that growing moves nothing.
        self._numbers = np.concatenate([self._numbers, np.zeros(larger - capacity, _NUMBERS)])
        self._texts.extend([("", ())] * (larger - capacity))
