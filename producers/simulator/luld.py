"""Price bands (limit up-limit down), the limit state, five-minute halts and resumptions.

A band is a percentage around a reference price that trails the market by minutes. A price that
stands at its band for 15 s halts the symbol for five minutes; then it resumes with new bands.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from producers.simulator.symbols import Flags, Floats, Ints

#: Indicators as the vendor's glossary has them ("Conditions and Indicators"): 16 Restated Value is by far the most
#: frequent, 21 Price Band, 17 Suspended Halt Pause, 18 Reopening Update.
RESTATED: Final = 16
BANDS: Final = 21
HALTED: Final = 17
RESUMED: Final = 18

#: The tape of Nasdaq-listed symbols: of them alone the vendor tells halts and reopenings.
TOLD_TAPE: Final = 3

LIMIT_STATE_S: Final = 15
HALT_S: Final = 300
REFERENCE_S: Final = 300
UPDATE_S: Final = 30
#: A band moves when its reference is out by this much, as the rule has it.
UPDATE_SHARE: Final = 0.01
#: Bands are twice as wide this long after the open and before the close.
WIDE_OPEN_S: Final = 900
WIDE_CLOSE_S: Final = 1500


@dataclass(frozen=True, slots=True)
class BandEvents:
    """LULD events of one second as columns: symbol, bands in US dollars, the indicator code."""

    slot: Ints
    upper: Floats
    lower: Floats
    code: Ints

    def told(self, tape: Ints, otc: Flags) -> "BandEvents":
        """What the vendor sends of them: halts of Nasdaq-listed symbols only, with bands of 0.00.

        Nothing of symbols that trade over the counter (`otc`), which have no bands.
        """
        halted = self.code == HALTED
        untold = tape[self.slot] != TOLD_TAPE
        kept = ~(halted & untold) & ~otc[self.slot]
        code = np.where((self.code == RESUMED) & untold, RESTATED, self.code)
        upper, lower = (np.where(halted, 0.0, band) for band in (self.upper, self.lower))
        return BandEvents(self.slot[kept], upper[kept], lower[kept], code[kept])


class LimitUpLimitDown:
    """Bands and halts of every symbol in one trading day; times are seconds since 04:00 ET."""

    def __init__(self, first_tier: Flags, opens: int, closes: int) -> None:
        count = len(first_tier)
        self._first_tier, self._opens, self._closes = first_tier, opens, closes
        self._reference = np.zeros(count)
        self._trailing = np.zeros(count)
        self.upper = np.full(count, np.inf)
        self.lower = np.zeros(count)
        self._at_limit_s = np.zeros(count, dtype=np.int64)
        self._resumes_at = np.zeros(count, dtype=np.int64)
        self.halted = np.zeros(count, dtype=np.bool_)
        self._armed = False
        self._wide = False

    def step(self, second: int, price: Floats) -> BandEvents:
        """What happens at the start of a second, given the prices so far; `halted` follows."""
        codes = np.zeros(len(price), dtype=np.int64)
        if not self._opens <= second < self._closes:
            self._disarm(codes)
            events = self._events(codes)
            self.upper[:], self.lower[:] = np.inf, 0.0
            return events
        wide = second < self._opens + WIDE_OPEN_S or second >= self._closes - WIDE_CLOSE_S
        opening = not self._armed
        if opening or wide != self._wide:
            if not self._armed:
                self._trailing, self._armed = price.copy(), True
            self._wide = wide
            self._rebase(~self.halted, codes, BANDS if opening else RESTATED)
        self._trailing += (price - self._trailing) / REFERENCE_S
        if second % UPDATE_S == 0:
            out = np.abs(self._trailing / self._reference - 1) >= UPDATE_SHARE
            self._rebase(out & ~self.halted, codes)
        self._resume(second, price, codes)
        self._halt(second, price, codes)
        return self._events(codes)

    def clamp(self, price: Floats) -> Floats:
        """Prices held within their bands."""
        return np.clip(price, self.lower, self.upper)

    def _disarm(self, codes: Ints) -> None:
        """Bands end with the regular session, and so do the halts that are left."""
        codes[self.halted] = RESUMED
        self._armed = False
        self.halted[:] = False
        self._at_limit_s[:] = 0

    def _rebase(self, chosen: Flags, codes: Ints, code: int = RESTATED) -> None:
        reference = self._trailing[chosen]
        self._reference[chosen] = reference
        share = np.where(reference < 3, 0.2, np.where(self._first_tier[chosen], 0.05, 0.1)) * (2 if self._wide else 1)
        width = np.where(reference < 0.75, np.minimum(0.15, 0.75 * reference), reference * share)
        digits = np.where(reference + width >= 1, 100.0, 10_000.0)
        self.upper[chosen] = np.floor((reference + width) * digits) / digits
        self.lower[chosen] = np.maximum(np.ceil((reference - width) * digits) / digits, 0.0001)
        codes[chosen] = code

    def _resume(self, second: int, price: Floats, codes: Ints) -> None:
        due = self.halted & (second >= self._resumes_at)
        if due.any():
            self.halted[due] = False
            self._at_limit_s[due] = 0
            self._trailing[due] = price[due]
            self._rebase(due, codes)
            codes[due] = RESUMED

    def _halt(self, second: int, price: Floats, codes: Ints) -> None:
        at_limit = ((price >= self.upper) | (price <= self.lower)) & ~self.halted
        self._at_limit_s = np.where(at_limit, self._at_limit_s + 1, 0)
        due = self._at_limit_s >= LIMIT_STATE_S
        if due.any():
            self.halted[due] = True
            self._resumes_at[due] = second + HALT_S
            codes[due] = HALTED

    def _events(self, codes: Ints) -> BandEvents:
        slot = np.flatnonzero(codes)
        return BandEvents(slot, self.upper[slot], self.lower[slot], codes[slot])
