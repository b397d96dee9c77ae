"""Which symbols trade and are quoted in a second, and how much: the order flow of a trading day."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from producers.simulator.activity import DayShape
from producers.simulator.symbols import Flags, Floats, Ints, Universe

#: The mix of the tape: of seven events one is a second bar, two are trades and four are quotes.
BARS_OF, TRADES_OF, QUOTES_OF, EVENTS_OF = 1, 2, 4, 7
#: No more than this share of all symbols trades in one second, whatever the rate.
ACTIVE_SHARE: Final = 0.6
ROUND_LOTS: Final = 0.45
BLOCKS: Final = 0.001

_INTENSITIES: Final = np.logspace(-4, 7, 90)


@dataclass(frozen=True, slots=True)
class Flow:
    """Trades and quotes of one second, each in time order; `at` is ms within the second."""

    trade_slot: Ints
    trade_at: Ints
    trade_size: Ints
    quote_slot: Ints
    quote_at: Ints


class OrderFlow:
    """Draws the flow of each second for a mean event rate (events per second of the regular session)."""

    def __init__(self, rng: np.random.Generator, universe: Universe, events_per_s: float, share: Floats) -> None:
        self._rng, self._events_per_s, self._share = rng, events_per_s, share / share.sum()
        self._mean_size = universe.mean_size
        active = (1 - np.exp(-np.outer(_INTENSITIES, self._share))).sum(axis=1)
        self._log_active = np.log(active)
        quoted = universe.weight**0.75
        self._quoted = np.cumsum(quoted / quoted.sum())

    def usual_volume(self, shape: DayShape) -> Floats:
        """The shares of each symbol that a whole day is expected to trade."""
        sampled = shape.rate[150::300]
        trades = np.zeros(len(self._share))
        for rate in sampled.tolist():
            active, total = self._targets(self._events_per_s * rate)
            chance = self._chances(active)
            trades += chance + self._share * max(total - float(chance.sum()), 0.0)
        usual: Floats = trades * (shape.seconds / len(sampled)) * (self._mean_size + 22)
        return np.maximum(usual, 100).round()

    def second(self, rate: float, boost: Floats, halted: Flags) -> Flow:
        """The flow of a second whose activity is `rate`; boosted symbols trade more, halted ones not."""
        rng = self._rng
        events = int(rng.poisson(self._events_per_s * rate))
        active, trades = self._targets(events)
        # A halted symbol keeps its draw, so that the stream of numbers does not hang on halts.
        chance = 1 - (1 - self._chances(active)) ** boost
        trading = np.flatnonzero((rng.random(len(chance)) < chance) & ~halted)
        more = max(int(trades) - len(trading), 0)
        counts = np.ones(len(trading), dtype=np.int64)
        if more and len(trading):
            weight = self._share[trading] * boost[trading]
            counts += rng.multinomial(more, weight / weight.sum())
        slot = np.repeat(trading, counts)
        rng.shuffle(slot)
        quote_slot = np.searchsorted(self._quoted, rng.random(max(events - len(trading) - len(slot), 0)))
        quote_slot = np.minimum(quote_slot, len(chance) - 1)
        quote_slot = quote_slot[~halted[quote_slot]]
        return Flow(
            trade_slot=slot,
            trade_at=np.sort(rng.integers(0, 1000, len(slot))),
            trade_size=self._sizes(slot),
            quote_slot=quote_slot,
            quote_at=np.sort(rng.integers(0, 1000, len(quote_slot))),
        )

    def _sizes(self, slot: Ints) -> Ints:
        size = self._mean_size[slot] * self._rng.lognormal(-0.5, 1.0, len(slot))
        kind = self._rng.random(len(slot))
        size = np.where(kind < ROUND_LOTS, np.ceil(size / 100) * 100, size)
        size = np.where(kind > 1 - BLOCKS, size * 20, size)
        return np.maximum(np.round(size), 1).astype(np.int64)

    def _targets(self, events: float) -> tuple[float, float]:
        """How many symbols are to trade, and the trades, of so many events."""
        active = min(events * BARS_OF / EVENTS_OF, ACTIVE_SHARE * len(self._share))
        return active, (events - active) * TRADES_OF / (TRADES_OF + QUOTES_OF)

    def _chances(self, active: float) -> Floats:
        """Each symbol's chance to trade when `active` of them do on average."""
        if active <= 0:
            return np.zeros(len(self._share))
        intensity = np.exp(np.interp(np.log(active), self._log_active, np.log(_INTENSITIES)))
        chances: Floats = 1 - np.exp(-intensity * self._share)
        return chances
