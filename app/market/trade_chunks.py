"""The newest chunk of a window as JSON, each trade encoded once.

A flush writes a symbol's newest chunk again with each few trades. Taking all of it from the ring's columns each time
cost five times as much as keeping what was encoded: at most 20 trades of about 100 bytes for a symbol.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.market.trade_ring import Kept

_encode = msgspec.json.Encoder().encode


class OpenChunk:
    """Trades from number `first` on, one after another, none of a chunk that is full."""

    __slots__ = ("_rows", "_start", "first")

    def __init__(self) -> None:
        self.first = 0
        self._start = -1
        self._rows: list[bytes] = []

    def extend(self, trades: Sequence[Kept], begin: int, start: int) -> None:
        """Take trades that are numbered from `begin`; the newest chunk begins at number `start` now."""
        if start != self._start:
            trades, begin = trades[max(0, start - begin) :], max(begin, start)
            self._start, self.first, self._rows = start, begin, []
        self._rows += map(_encode, trades)

    def rows(self, begin: int, end: int) -> list[bytes] | None:
        """The trades numbered from `begin` to before `end` as JSON; None: not all of them are here."""
        if self.first > begin or self.first + len(self._rows) != end:
            return None
        return self._rows[begin - self.first :]


def chunk_json(first: int, last_ms: int, rows: Sequence[bytes], pace: tuple[Any, ...] | None) -> bytes:
    """A chunk as the changelog holds it: its first number, the window's last time, trades, the newest's pace."""
    return b"[%d,%d,[%b],%b]" % (first, last_ms, b",".join(rows), _encode(pace))


def encoded_rows(rows: Sequence[tuple[Any, ...]]) -> list[bytes]:
    """Trades as tuples of their fields -> JSON."""
    return [_encode(row) for row in rows]
