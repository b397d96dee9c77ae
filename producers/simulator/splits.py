"""A split and a reverse split each trading day, and what they do to figures of before.

The vendor's snapshot gives the previous day as it was, without the split of the present one: in its own sample of
market movers a reverse split of 20 to 1 stands as a change of 1849 per cent.
"""

from typing import Final, NamedTuple

import numpy as np

from producers.simulator.symbols import Floats, Ints

#: Old and new shares of the splits that are drawn.
_FORWARD: Final = ((1, 2), (1, 4), (1, 10))
_REVERSE: Final = ((10, 1), (20, 1), (50, 1))
#: Prices (US dollars) from which, and below which, companies split their shares so; the largest do not.
_DEAR: Final = 60.0
_CHEAP: Final = 6.0
_LARGEST: Final = 40


class Split(NamedTuple):
    """Of `old` shares of a symbol (its slot) `new` were made."""

    slot: int
    old: int
    new: int


class Splits:
    """The splits by the day of their execution (ISO date)."""

    def __init__(self, seed: int, count: int) -> None:
        self._seed, self._count = seed, count
        self.by_day: dict[str, list[Split]] = {}

    def draw(self, day: str, close: Floats) -> None:
        """Choose the day's, by the close of the day before."""
        rng = np.random.default_rng([self._seed, 5, int(day.replace("-", ""))])
        self.by_day[day] = found = []
        for ratios, may in ((_FORWARD, close >= _DEAR), (_REVERSE, (close > 0) & (close < _CHEAP))):
            slots: Ints = np.flatnonzero(may & (np.arange(self._count) >= _LARGEST))
            if len(slots):
                old, new = ratios[int(rng.integers(len(ratios)))]
                found.append(Split(int(rng.choice(slots)), old, new))

    def factors(self, after: str, until: str) -> Floats:
        """New shares for one old share of each symbol, by the splits after a day up to another one."""
        factors = np.ones(self._count)
        for day, splits in self.by_day.items():
            if after < day <= until:
                for split in splits:
                    factors[split.slot] *= split.new / split.old
        return factors
