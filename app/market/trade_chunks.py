"""A window's newest trades as JSON, each encoded once, and the chunks that are made of them.

A flush writes a symbol's newest chunk again with each few trades. Taking all of it from the ring's columns each time
cost five times as much as keeping what was encoded: at most 20 trades of about 100 bytes for a symbol.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from app.market.trade_ring import Kept

_encode = msgspec.json.Encoder().encode


class FreshRows:
    """Trades one after another from number `first` to the window's newest."""

    __slots__ = ("_rows", "first")

    def __init__(self, first: int) -> None:
        self.first = first
        self._rows: list[bytes] = []

    def extend(self, trades: Iterable[Kept]) -> None:
        """Take the trades that follow."""
        self._rows += map(_encode, trades)

    def rows(self, begin: int, end: int) -> list[bytes] | None:
        """The trades numbered from `begin` to before `end` as JSON; None: not all of them are here."""
        if begin < self.first:
            return None
        return self._rows[begin - self.first : end - self.first]

    def forget_before(self, number: int) -> None:
        """Let go what is written and cannot be written again."""
        if number > self.first:
            del self._rows[: number - self.first]
            self.first = number


def chunk_json(first: int, last_ms: int, rows: Sequence[bytes], pace: tuple[Any, ...] | None) -> bytes:
    """A chunk as the changelog holds it: its first number, the window's last time, trades, the newest's pace."""
    return b"[%d,%d,[%b],%b]" % (first, last_ms, b",".join(rows), b"null" if pace is None else _encode(pace))


def encoded_rows(rows: Iterable[tuple[Any, ...]]) -> list[bytes]:
    """Trades as tuples of their fields -> JSON."""
    return [_encode(row) for row in rows]
