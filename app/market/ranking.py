"""Leaderboards: what a partition ranks best, and the market's best from all partitions' best.

A row counts while it is of the newest trading day that was seen. Boards that measure from the open
start afresh with the first symbol that opened, and from then on rank opened symbols only.
"""

import math
from collections.abc import Mapping, Sequence
from heapq import nsmallest
from operator import attrgetter
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.market.rows import QuoteRow

#: A trading day (ISO date, empty: none yet) and whether any symbol has seen its regular open.
Phase = tuple[str, bool]
Scored = tuple[str, float]

NO_PHASE: Phase = ("", False)
LIMIT = 500


class Board(Struct, frozen=True):
    """A leaderboard: its name, the row's field that it ranks by, and how.

    `from_open` boards start afresh at 09:30 ET; the best score is the largest unless `ascending`.
    """

    name: str
    score_field: str
    from_open: bool = False
    ascending: bool = False


BOARDS = (
    Board("top_volume", "accumulated_volume"),
    Board("top_gappers", "pct_change"),
    Board("top_gainers", "pct_change_since_open", from_open=True),
    Board("top_losers", "pct_change", ascending=True),
    Board("top_relative_volume", "relative_volume"),
    Board("top_dollar_volume", "dollar_volume"),
    Board("top_open_gaps", "pct_open_gap", from_open=True),
)

_FIRST_CAPACITY = 256


class PartitionRanking:
    """The scores of a partition's symbols on every board, as columns that are cheap to rank."""

    def __init__(self, boards: Sequence[Board] = BOARDS) -> None:
        self._columns = {board.name: column for column, board in enumerate(boards)}
        self._from_open = [column for column, board in enumerate(boards) if board.from_open]
        self._signs = [1.0 if board.ascending else -1.0 for board in boards]
        # A getter of one field does not give a tuple: the symbol makes sure that there are two.
        self._scores_of: Any = attrgetter("symbol", *(board.score_field for board in boards))
        # Ranks in ascending order of signed scores; a score that is not known is NaN.
        self._scores: NDArray[np.float64] = np.full((_FIRST_CAPACITY, len(boards)), np.nan)
        self._slots: dict[str, int] = {}
        self._symbols: list[str] = []
        self._free: list[int] = []
        self._phase = NO_PHASE

    @property
    def phase(self) -> Phase:
        """The newest trading day of all rows so far, and whether one of them had opened that day."""
        return self._phase

    def update(self, row: QuoteRow) -> None:
        """Let a symbol's row count in place of its last one."""
        self._advance((row.day, row.opened_regular))
        slot = self._slots.get(row.symbol)
        if slot is None:
            slot = self._new_slot(row.symbol)
        day, opened = self._phase
        if row.day != day:
            self._scores[slot] = np.nan
            return
        values = self._scores_of(row)[1:]
        self._scores[slot] = [
            sign * value if value is not None and math.isfinite(value) else math.nan
            for sign, value in zip(self._signs, values, strict=True)
        ]
        if opened and not row.opened_regular:
            self._scores[slot, self._from_open] = np.nan

    def remove(self, symbol: str) -> None:
        """Rank a symbol no more; one that is not known is ignored."""
        slot = self._slots.pop(symbol, None)
        if slot is not None:
            self._scores[slot] = np.nan
            self._symbols[slot] = ""
            self._free.append(slot)

    def tops(self, board: Board, limit: int = LIMIT) -> list[Scored]:
        """At most `limit` symbols with their scores, best first, equal scores by symbol."""
        column = self._columns[board.name]
        scores = self._scores[: len(self._symbols), column]
        ranked = np.flatnonzero(~np.isnan(scores))
        chosen = scores[ranked]
        if limit <= 0 or not len(ranked):
            return []
        if len(ranked) > limit:
            cut = chosen[np.argpartition(chosen, limit - 1)[limit - 1]]
            best = ranked[chosen < cut]
            # Of those that tie at the cut the first by symbol are taken.
            tied = _first_symbols(self._symbols, ranked[chosen == cut], limit - len(best))
            ranked = np.concatenate([best, np.array([self._slots[symbol] for symbol in tied], dtype=np.intp)])
            chosen = scores[ranked]
        pairs = sorted(zip(chosen.tolist(), (self._symbols[slot] for slot in ranked.tolist()), strict=True))
        sign = self._signs[column]
        return [(symbol, sign * score) for score, symbol in pairs]

    def _advance(self, phase: Phase) -> None:
        if phase <= self._phase:
            return
        if phase[0] != self._phase[0]:
            self._scores[:] = np.nan
        else:
            self._scores[:, self._from_open] = np.nan
        self._phase = phase

    def _new_slot(self, symbol: str) -> int:
        if self._free:
            slot = self._free.pop()
            self._symbols[slot] = symbol
        else:
            slot = len(self._symbols)
            self._symbols.append(symbol)
            if slot == len(self._scores):
                self._scores = np.concatenate([self._scores, np.full_like(self._scores, np.nan)])
        self._slots[symbol] = slot
        return slot


def _first_symbols(symbols: Sequence[str], slots: NDArray[np.intp], count: int) -> list[str]:
    """The first `count` by symbol of those in the slots."""
    return nsmallest(count, (symbols[slot] for slot in slots.tolist()))


def merge_tops(
    tops: Mapping[int, tuple[Phase, Sequence[Scored]]], board: Board, limit: int = LIMIT
) -> tuple[Phase, list[Scored]]:
    """The newest phase of all partitions and the market's best, from each partition's best.

    A partition that is still in an older day has nothing to say; for a board from the open neither
    has one that has not seen the open yet, because it ranks by another open.
    """
    newest = max((phase for phase, _ in tops.values()), default=NO_PHASE)
    sign = 1.0 if board.ascending else -1.0
    best = nsmallest(
        limit,
        (
            (sign * score, symbol)
            for phase, scored in tops.values()
            if (phase == newest if board.from_open else phase[0] == newest[0])
            for symbol, score in scored
        ),
    )
    return newest, [(symbol, sign * score) for score, symbol in best]
