"""The trades and second bars of the last while, as REST gives them to who has missed them."""

from collections import deque
from typing import Any, Final

import numpy as np

from producers.simulator.bars import BarColumns
from producers.simulator.wire import FINRA, Trades

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

    def bars(self, slot: int, first_ms: int, last_ms: int) -> list[Json]:
        """A symbol's second bars that begin in a range, oldest first, as aggregates have them."""
        rows: list[Json] = []
        for start_ms, _, bars in self._seconds:
            if not first_ms <= start_ms <= last_ms:
                continue
            place = int(np.searchsorted(bars.slot, slot))
            if place < len(bars.slot) and bars.slot[place] == slot:
                rows.append(
                    {
                        "o": float(bars.open[place]),
                        "h": float(bars.high[place]),
                        "l": float(bars.low[place]),
                        "c": float(bars.close[place]),
                        "v": float(bars.volume[place]),
                        "vw": round(float(bars.vwap[place]), 4),
                        "t": start_ms,
                        "n": int(bars.trades[place]),
                    }
                )
        return rows

    def _trade(self, start_ms: int, trades: Trades, place: int) -> Json:
        at_ns = (start_ms + int(trades.at[place])) * 1_000_000
        size, exchange, sequence = int(trades.size[place]), int(trades.exchange[place]), int(trades.sequence[place])
        row: Json = {
            "exchange": exchange,
            "id": str(trades.first_id + place),
            "participant_timestamp": at_ns,
            "price": float(trades.price[place]),
            "sequence_number": sequence,
            "sip_timestamp": at_ns,
            "size": size,
            "decimal_size": f"{size}.0",
            "tape": int(self._tape[trades.slot[place]]),
        }
        conditions = trades.conditions(place)
        if conditions:
            row["conditions"] = conditions
        if exchange == FINRA:
            row |= {"trf_id": 201 + (sequence & 1), "trf_timestamp": at_ns}
        return row
