"""One symbol's last trades in a numpy ring that grows with use."""

from collections.abc import Iterator
from operator import itemgetter
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.market.events import Trade, exact_shares
from app.market.trade_conditions import Counts
from app.market.trade_pace import MINUTE_MS, Pace
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
        ("counts", "i1"),
    ]
)


class Kept(Struct, frozen=True, array_like=True, gc=False):
    """A trade of a window as its changelog holds it; what was missing is 0 or empty.

    `side` and `counts` are what was found when the trade came in.
    """

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
    counts: int = Counts.ALL


#: Of a trade's fields those before and after the texts are numbers.
_numbers_of, _texts_of = itemgetter(0, 1, 2, 3, 4, 5, 6, 7, 10, 11), itemgetter(8, 9)
_VOLUME: Final = Counts.VOLUME


def kept(trade: Trade, conditions: tuple[int, ...], side: int, counts: int) -> Kept:
    """A trade as a window keeps it. Raises `ValueError`: its decimal size is none."""
    decimal = trade.decimal_size
    return Kept(
        trade.price or 0.0,
        (trade.size or 0.0) if decimal is None else exact_shares(decimal, None) or 0.0,
        trade.timestamp or 0,
        trade.sequence_number or 0,
        trade.trf_timestamp or 0,
        trade.exchange or 0,
        trade.tape or 0,
        trade.trf_id or 0,
        trade.id or "",
        conditions,
        side,
        counts,
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
        pace = self.pace
        minute_ends_ms = (pace.minute + 1) * MINUTE_MS
        for trade in trades:
            at_ms, sequence = trade.timestamp, trade.sequence_number
            if trade.counts & _VOLUME:
                # Most trades are of the running minute: counting them here costs a third of a call.
                if at_ms < minute_ends_ms:
                    pace.count += 1
                else:
                    pace.add(at_ms)
                    minute_ends_ms = (pace.minute + 1) * MINUTE_MS
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
        """Whether the trade is in the window: by exchange, reporting facility, id and sequence number together.

        One without sequence number and id cannot be told from another and is new.
        """
        if trade.sequence_number > self.highest_sequence or not (trade.sequence_number or trade.id):
            return False
        numbers = self.numbers()
        same = numbers["sequence_number"] == trade.sequence_number
        same &= (numbers["exchange"] == trade.exchange) & (numbers["trf_id"] == trade.trf_id)
        return any(self._texts[place][0] == trade.id for place in np.flatnonzero(same).tolist())

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

    def latest(self) -> np.void | None:
        """The numbers of the newest trade by its time that may set the last price, None where none may.

        Of several at one time it is the one that arrived last.
        """
        numbers = self.numbers()
        places = np.flatnonzero(numbers["counts"] & Counts.LAST)
        if not len(places):
            return None
        times = numbers["timestamp"][places]
        newest = places[times == times.max()]
        arrived = (newest - self.first) % len(self._numbers)
        found: np.void = numbers[newest[arrived.argmax()]]
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
        return [(*fields[:8], *text, *fields[8:]) for fields, text in zip(numbers, texts, strict=True)]

    def _put(self, start: int, trades: list[Kept]) -> None:
        if not trades:
            return
        rows = list(map(msgspec.structs.astuple, trades))
        stop = start + len(rows)
        if len(rows) == 1:
            # Most of a flush are single trades of many symbols; this is a third of an array's cost.
            self._numbers[start] = _numbers_of(rows[0])
        else:
            self._numbers[start:stop] = list(map(_numbers_of, rows))
        self._texts[start:stop] = map(_texts_of, rows)

    def _grow(self, trades: int) -> None:
        capacity = len(self._numbers)
        if trades <= capacity or capacity == WINDOW_TRADES:
            return
        larger = min(WINDOW_TRADES, max(trades, capacity * 2))
        # Before it is full, number and place are the same, so that growing moves nothing.
        self._numbers = np.concatenate([self._numbers, np.zeros(larger - capacity, _NUMBERS)])
        self._texts.extend([("", ())] * (larger - capacity))
