"""The trades and second bars of the last while, as REST gives them to who has missed them."""

from collections import deque
from typing import Any, Final

import numpy as np

from producers.simulator.bars import BarColumns
from producers.simulator.conditions import CONDITIONS
from producers.simulator.shares import SHARE, decimal
from producers.simulator.wire import Trades

Json = dict[str, Any]

#: Trades that are kept, about 80 bytes each: at 2,000 events/s half an hour.
KEPT_TRADES: Final = 1_000_000


class Recent:
    """The newest seconds of the market, the oldest forgotten first."""

    def __init__(self, tape: Any) -> None:
        self._tape = tape
        self._seconds: deque[tuple[int, Trades, BarColumns]] = deque()
        self._trades = 0

    def add(self, start_ms: int, trades: Trades, bars: BarColumns) -> None:
        """Keep a second."""
        self._seconds.append((start_ms, trades, bars))
        self._trades += len(trades.slot)
        while self._trades > KEPT_TRADES and len(self._seconds) > 1:
            self._trades -= len(self._seconds.popleft()[1].slot)

    def trades(self, slot: int, first_ns: int, end_ns: int) -> list[Json]:
        """A symbol's trades from a time (ns) to before another, oldest first, as `/v3/trades` has them."""
        rows: list[Json] = []
        for start_ms, trades, _ in self._seconds:
            if (start_ms + 1000) * 1_000_000 <= first_ns or start_ms * 1_000_000 >= end_ns:
                continue
            for place in np.flatnonzero(trades.slot == slot).tolist():
                row = self._trade(start_ms, trades, place)
                if first_ns <= row["sip_timestamp"] < end_ns:
                    rows.append(row)
        return rows

    def bars_of(self, start_ms: int) -> BarColumns | None:
        """The second bars of a second; None: it is not kept."""
        if not self._seconds:
            return None
        place = len(self._seconds) - 1 - (self._seconds[-1][0] - start_ms) // 1000
        if not 0 <= place < len(self._seconds) or self._seconds[place][0] != start_ms:
            return None
        return self._seconds[place][2]

    def bars(self, slot: int, first_ms: int, last_ms: int) -> list[Json]:
        """A symbol's second bars that begin in a range, oldest first, as aggregates have them."""
        rows: list[Json] = []
        for start_ms, _, bars in self._seconds:
            if not first_ms <= start_ms <= last_ms:
                continue
            place = bars.row_of(slot)
            if place is not None:
                rows.append(
                    {
                        "o": float(bars.open[place]),
                        "h": float(bars.high[place]),
                        "l": float(bars.low[place]),
                        "c": float(bars.close[place]),
                        "v": int(bars.volume[place]) // SHARE,
                        "dv": decimal(int(bars.volume[place])),
                        "vw": round(float(bars.vwap[place]), 4),
                        "t": start_ms,
                        "n": int(bars.trades[place]),
                    }
                )
        return rows

    def _trade(self, start_ms: int, trades: Trades, place: int) -> Json:
        at_ms = start_ms + int(trades.at[place])
        size, facility = int(trades.size[place]), int(trades.facility[place])
        row: Json = {
            "exchange": int(trades.exchange[place]),
            "id": str(trades.id[place]),
            "participant_timestamp": (at_ms - int(trades.late_ms[place])) * 1_000_000,
            "price": float(trades.price[place]),
            "sequence_number": int(trades.sequence[place]),
            "sip_timestamp": at_ms * 1_000_000,
            "size": size // SHARE,
            "decimal_size": decimal(size),
            "tape": int(self._tape[trades.slot[place]]),
        }
        if held := CONDITIONS[trades.code[place]]:
            row["conditions"] = held
        if facility:
            row |= {"trf_id": facility, "trf_timestamp": at_ms * 1_000_000}
        return row
