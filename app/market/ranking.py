"""Leaderboards: the best rows of a set of symbols, by score, of the trading day that they agree on.

A row counts while it is of that day. Boards that measure from the open start afresh when it is agreed that the
market has opened, and from then on rank opened symbols only. A day or an open is agreed on when three symbols
(or all, where there are fewer) have seen it: one event with a wrong time moves nothing.
"""

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from operator import attrgetter
from typing import Any, Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.market.bounds import AGREEING_SYMBOLS
from app.market.rows import QuoteRow

#: A trading day (ISO date, empty: none yet) and whether it is agreed that it has opened.
Phase = tuple[str, bool]
Scored = tuple[str, float]

NO_PHASE: Final[Phase] = ("", False)
LIMIT: Final = 500


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
#: The code of a place without a symbol, before all phases.
_NOBODY = -1


class Ranking:
    """Symbols' rows and their scores on every board, as columns that are cheap to rank.

    `update` only notes a row: the columns take in what was noted, together, when somebody looks. A row that changed
    three times since is written to them once.
    """

    def __init__(self, boards: Sequence[Board] = BOARDS) -> None:
        self._columns = {board.name: column for column, board in enumerate(boards)}
        self._boards = tuple(boards)
        self._signs = np.array([1.0 if board.ascending else -1.0 for board in boards])
        # A getter of one field does not give a tuple: the symbol makes sure that there are two.
        self._scores_of: Any = attrgetter("symbol", *(board.score_field for board in boards))
        # Ranks in ascending order of signed scores; a score that is not known is NaN.
        self._scores: NDArray[np.float64] = np.full((_FIRST_CAPACITY, len(boards)), np.nan)
        self._phases: NDArray[np.int64] = np.full(_FIRST_CAPACITY, _NOBODY, np.int64)
        self._rows: list[QuoteRow | None] = []
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._noted: dict[str, QuoteRow | None] = {}
        self._agreed = _NOBODY

    def update(self, row: QuoteRow) -> None:
        """Let a symbol's row count in place of its last one."""
        self._noted[row.symbol] = row

    def remove(self, symbol: str) -> None:
        """Rank a symbol no more; one that is not known is ignored."""
        self._noted[symbol] = None

    def follow(self, changes: Mapping[str, QuoteRow | None]) -> None:
        """Let changed rows count by symbol; None removes one."""
        self._noted.update(changes)

    @property
    def phase(self) -> Phase:
        """The newest trading day that enough symbols have seen, and whether as many have seen its open."""
        self._settle()
        return _phase_of(self._agreed)

    def row(self, symbol: str) -> QuoteRow:
        """The row of a symbol that is ranked. Raises `KeyError`: it is not."""
        self._settle()
        row = self._rows[self._slots[symbol]]
        if row is None:
            raise KeyError(symbol)
        return row

    def tops(self, board: Board, limit: int = LIMIT) -> list[Scored]:
        """At most `limit` symbols with their scores, best first, equal scores by symbol."""
        slots, scores = self._best(board, limit)
        pairs = sorted(zip(scores.tolist(), map(self._symbol, slots.tolist()), strict=True))
        sign = float(self._signs[self._columns[board.name]])
        return [(symbol, sign * score) for score, symbol in pairs]

    def candidates(self, limit: int = LIMIT) -> dict[str, QuoteRow]:
        """The rows without which the boards of a larger set, that these symbols are part of, could be others.

        They are the best of each board, and the rows that are furthest in time: a day that is new to these symbols
        may be agreed on by others.
        """
        self._settle()
        phases = self._phases[: len(self._rows)]
        furthest = np.argsort(-phases, kind="stable")[:AGREEING_SYMBOLS]
        chosen = np.zeros(len(phases), np.bool_)
        chosen[furthest[phases[furthest] != _NOBODY]] = True
        for board in self._boards:
            chosen[self._best(board, limit)[0]] = True
        rows = (self._rows[slot] for slot in np.flatnonzero(chosen).tolist())
        return {row.symbol: row for row in rows if row is not None}

    def _best(self, board: Board, limit: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """The places of the best, in no order, and their signed scores."""
        self._settle()
        column = self._columns[board.name]
        phases, scores = self._phases[: len(self._rows)], self._scores[: len(self._rows), column]
        of_now = phases == self._agreed if board.from_open else phases >> 1 == self._agreed >> 1
        ranked = np.flatnonzero(of_now & ~np.isnan(scores))
        chosen = scores[ranked]
        if limit <= 0:
            return ranked[:0], chosen[:0]
        if len(ranked) > limit:
            cut = chosen[np.argpartition(chosen, limit - 1)[limit - 1]]
            best = ranked[chosen < cut]
            # Of those that tie at the cut the first by symbol are taken.
            tied = nsmallest(limit - len(best), map(self._symbol, ranked[chosen == cut].tolist()))
            ranked = np.concatenate([best, np.array([self._slots[symbol] for symbol in tied], dtype=np.intp)])
            chosen = scores[ranked]
        return ranked, chosen

    def _symbol(self, slot: int) -> str:
        row = self._rows[slot]
        return "" if row is None else row.symbol

    def _settle(self) -> None:
        noted, self._noted = self._noted, {}
        if not noted:
            return
        rows: list[QuoteRow] = []
        for symbol, row in noted.items():
            if row is not None:
                rows.append(row)
            elif (slot := self._slots.pop(symbol, None)) is not None:
                self._scores[slot], self._phases[slot], self._rows[slot] = np.nan, _NOBODY, None
                self._free.append(slot)
        if rows:
            slots = [self._slot(row) for row in rows]
            scores = np.array([self._scores_of(row)[1:] for row in rows], np.float64)
            scores[~np.isfinite(scores)] = np.nan
            self._scores[slots] = scores * self._signs
            self._phases[slots] = [_code(row.day, row.opened_regular) for row in rows]
        self._agreed = self._newest_agreed()

    def _newest_agreed(self) -> int:
        count = min(AGREEING_SYMBOLS, len(self._slots))
        if not count:
            return _NOBODY
        phases = self._phases[: len(self._rows)]
        return int(np.partition(phases, len(phases) - count)[len(phases) - count])

    def _slot(self, row: QuoteRow) -> int:
        slot = self._slots.get(row.symbol)
        if slot is None:
            slot = self._slots[row.symbol] = self._free.pop() if self._free else self._appended()
        self._rows[slot] = row
        return slot

    def _appended(self) -> int:
        slot = len(self._rows)
        self._rows.append(None)
        if slot == len(self._scores):
            self._scores = np.concatenate([self._scores, np.full_like(self._scores, np.nan)])
            self._phases = np.concatenate([self._phases, np.full_like(self._phases, _NOBODY)])
        return slot


def _code(day: str, opened: bool) -> int:
    """A phase as a number that orders like it."""
    return int(day.replace("-", "")) * 2 + opened


def _phase_of(code: int) -> Phase:
    if code == _NOBODY:
        return NO_PHASE
    digits = str(code >> 1)
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}", bool(code & 1)
