"""Which symbols trade and are quoted in a second, and how much: the order flow of a trading day."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from producers.simulator.activity import DayShape
from producers.simulator.ordering import in_order
from producers.simulator.shares import SHARE
from producers.simulator.symbols import Flags, Floats, Ints, Universe

#: The mix of the tape: of seven events one is a second bar, two are trades and four are quotes.
BARS_OF, TRADES_OF, QUOTES_OF, EVENTS_OF = 1, 2, 4, 7
#: No more than this share of all symbols trades in one second, whatever the rate.
ACTIVE_SHARE: Final = 0.6
BLOCKS: Final = 0.001
#: Prints of less than a share among all: 443 of 1,183 of AAPL's in the vendor's own demonstration.
BELOW_A_SHARE: Final = 0.35
#: Round lots among a symbol's first prints of a second, so that the second mostly has a bar: an odd lot makes none.
#: And among its others that are not below a share.
FIRST_ROUND, OTHER_ROUND = 0.93, 0.5
#: Odd lots with a fraction of a share, among the odd lots above one share.
ODD_WITH_FRACTION: Final = 0.2
#: What the auctions at open and close add to a day's volume, and single blocks to a print's mean size.
AUCTIONS: Final = 0.06

_INTENSITIES: Final = np.logspace(-4, 7, 90)


@dataclass(frozen=True, slots=True)
class Flow:
    """Trades and quotes of one second, each in time order; `at` is ms within the second.

    `trade_size` is in millionths of a share, `first` marks the first that was drawn of each symbol, `below` those
    of less than a share.
    """

    trade_slot: Ints
    trade_at: Ints
    trade_size: Ints
    first: Flags
    below: Flags
    quote_slot: Ints
    quote_at: Ints


class OrderFlow:
    """Draws the flow of each second for a mean event rate (events per second of the regular session).

    `share` is each symbol's part of all trades, `mean_size` its mean size in shares, `lot` its round lot.
    """

    def __init__(
        self, rng: np.random.Generator, universe: Universe, events_per_s: float, share: Floats, mean_size: Floats,
        lot: Ints,
    ) -> None:  # fmt: skip
        self._rng, self._events_per_s, self._share = rng, events_per_s, share / share.sum()
        self._mean_size, self._lot = mean_size, lot
        active = (1 - np.exp(-np.outer(_INTENSITIES, self._share))).sum(axis=1)
        self._log_active = np.log(active)
        quoted = universe.weight**0.75
        self._quoted = np.cumsum(quoted / quoted.sum())

    def usual_volume(self, shape: DayShape) -> Floats:
        """The shares of each symbol that a whole day is expected to trade."""
        sampled = shape.rate[150::300]
        first, others = np.zeros(len(self._share)), np.zeros(len(self._share))
        for rate in sampled.tolist():
            active, total = self._targets(self._events_per_s * rate)
            chance = self._chances(active)
            more = max(total - float(chance.sum()), 0.0)
            first += chance
            others += self._share * more * (1 - _below(more, total))
        up = self._lot / 2  # what a size that is raised to a round lot gains
        shares = first * (self._mean_size + FIRST_ROUND * up) + others * (self._mean_size + OTHER_ROUND * up)
        usual: Floats = shares * (shape.seconds / len(sampled)) * (1 + 19 * BLOCKS) * (1 + AUCTIONS)
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
        slot = np.concatenate((trading, np.repeat(trading, counts - 1)))
        order = rng.permutation(len(slot))
        slot, first = slot[order], order < len(trading)
        below = ~first & (rng.random(len(slot)) < _below(len(slot) - len(trading), len(slot)))
        quote_slot = np.searchsorted(self._quoted, rng.random(max(events - len(trading) - len(slot), 0)))
        quote_slot = np.minimum(quote_slot, len(chance) - 1)
        quote_slot = quote_slot[~halted[quote_slot]]
        return Flow(
            trade_slot=slot,
            trade_at=in_order(rng.integers(0, 1000, len(slot))),
            trade_size=self._sizes(slot, first, below),
            first=first,
            below=below,
            quote_slot=quote_slot,
            quote_at=in_order(rng.integers(0, 1000, len(quote_slot))),
        )

    def _sizes(self, slot: Ints, first: Flags, below: Flags) -> Ints:
        rng, count = self._rng, len(slot)
        shares, lot = self._mean_size[slot] * rng.lognormal(-0.5, 1.0, count), self._lot[slot]
        kind = rng.random(count)
        round_lot = kind < np.where(first, FIRST_ROUND, OTHER_ROUND)
        shares = np.where(round_lot, np.ceil(shares / lot) * lot, np.maximum(np.round(shares), 1))
        shares = np.where(kind < BLOCKS, shares * 20, shares)
        size = shares.astype(np.int64) * SHARE
        with_fraction = np.flatnonzero(~round_lot & (kind > 1 - ODD_WITH_FRACTION * (1 - OTHER_ROUND)))
        size[with_fraction] += rng.integers(1, SHARE, len(with_fraction))
        parts = np.flatnonzero(below)
        size[parts] = np.exp(rng.uniform(np.log(500), np.log(SHARE), len(parts))).astype(np.int64)
        return size

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


def _below(others: float, total: float) -> float:
    """The share of prints below one share among those that are no symbol's first, so that it is right of all."""
    return min(BELOW_A_SHARE * total / others, 0.9) if others > 0 else 0.0
