"""How prices move in a trading day: gaps, a random walk, and surges of single symbols.

Gappers open 5-80 % away from the previous close on much volume. A surge carries a small float (or
a gapper) 8-30 % within minutes, which is what runs into price bands and halts.
"""

from typing import Final

import numpy as np

from producers.simulator.symbols import Flags, Floats, Ints, Universe

REGULAR_SECONDS: Final = 23_400
GAPPER_SHARE: Final = 0.04
LARGEST: Final = 20
#: One surge per 500 symbols begins about every two minutes, so that a few halts an hour occur.
SURGE_RATE: Final = 1 / 120 / 500


class Prices:
    """Mid prices (US dollars) of every symbol in one trading day."""

    def __init__(self, rng: np.random.Generator, universe: Universe, previous_close: Floats) -> None:
        count = len(universe)
        self._rng = rng
        # The largest companies do not gap by tens of per cent, and would take all of the volume.
        may_gap = np.arange(count) >= (LARGEST if count > 2 * LARGEST else 0)
        gapper = may_gap & (rng.random(count) < np.where(universe.small_float, 5 * GAPPER_SHARE, GAPPER_SHARE))
        shuffled = rng.permutation(count)
        if count >= LARGEST:
            gapper[shuffled[may_gap[shuffled]][:2]] = True
        far = np.exp(rng.uniform(np.log(0.05), np.log(0.8), count))
        down = rng.random(count) < 0.35
        gap = np.where(gapper, np.where(down, -np.minimum(far, 0.6), far), rng.normal(0, 0.006, count))
        self.gapper: Flags = gapper
        self.gap: Floats = gap
        #: The day's volume against the usual one.
        self.relative_volume: Floats = rng.lognormal(-0.06, 0.35, count) * np.where(gapper, 1 + 12 * np.abs(gap), 1)
        self.mid: Floats = np.maximum(previous_close * (1 + gap), 0.01)
        self.before: Floats = self.mid
        self._step = universe.volatility / np.sqrt(REGULAR_SECONDS)
        self._candidates: Ints = np.flatnonzero(gapper | universe.small_float)
        self._drift = np.zeros(count)
        self._ends = np.zeros(count, dtype=np.int64)
        self.boost: Floats = np.ones(count)

    def skip(self, day_share: float) -> None:
        """Move as if this share (0 to 1) of the day had passed already."""
        spread = self._step * np.sqrt(REGULAR_SECONDS * day_share)
        self.mid = np.maximum(self.mid * np.exp(self._rng.normal(0, 1, len(self.mid)) * spread), 0.01)
        self.before = self.mid

    def step(self, second: int, rate: float, regular: bool, frozen: Flags) -> None:
        """Move by one second of the given activity (1: the regular mean); frozen symbols stay."""
        if regular:
            self._surge(second)
        over = (self._ends <= second) & (self._ends > 0)
        if over.any():
            self._drift[over], self.boost[over], self._ends[over] = 0.0, 1.0, 0
        noise = self._rng.standard_normal(len(self.mid)) * self._step * np.sqrt(self.boost * min(rate, 4.0))
        moved = self.mid * np.exp(noise + self._drift)
        self.before = self.mid
        self.mid = np.where(frozen, self.mid, np.maximum(moved, 0.01))

    def _surge(self, second: int) -> None:
        begins = self._rng.random() < SURGE_RATE * max(len(self.mid), 100)
        pick, move, length, side = self._rng.random(4).tolist()
        if not begins or not len(self._candidates):
            return
        slot = self._candidates[int(pick * len(self._candidates))]
        seconds = 60 + int(240 * length)
        self._drift[slot] = (1 if side < 0.7 else -1) * np.log1p(0.08 + 0.22 * move) / seconds
        self._ends[slot] = second + seconds
        self.boost[slot] = 10.0
