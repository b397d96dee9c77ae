"""The prints of a second as the tape has them: conditions, exchanges, ids, auctions, prices off the market.

Which conditions there are and what they allow is in `conditions`. A third of all prints is below one share, at
FINRA; some are priced by agreements and not by the market; some are reported minutes late.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from producers.simulator import conditions
from producers.simulator.conditions import Kind
from producers.simulator.flow import Flow
from producers.simulator.history import to_tick
from producers.simulator.ordering import in_order, order_of
from producers.simulator.shares import SHARE
from producers.simulator.symbols import Flags, Floats, Ints, Universe
from producers.simulator.wire import FINRA, Trades

#: Exchange, reporting facility (0: none), share of the prints: FINRA's two facilities first.
_VENUES: Final = (
    (FINRA, 202, 0.28), (FINRA, 201, 0.10), (11, 0, 0.14), (12, 0, 0.19), (8, 0, 0.06), (10, 0, 0.08), (19, 0, 0.06),
    (15, 0, 0.04), (1, 0, 0.05),
)  # fmt: skip
EXCHANGE: Final = np.array([venue[0] for venue in _VENUES])
FACILITY: Final = np.array([venue[1] for venue in _VENUES])

#: Shares are told apart by thousandths, so that one look at a table chooses: a fifth of a search.
_PARTS: Final = 1000


def _by_part(shares: Iterable[float]) -> Ints:
    """The place that each thousandth belongs to, where so many parts of all belong to each place."""
    counts = [round(share * _PARTS) for share in shares]
    return np.repeat(np.arange(len(counts)), counts)


_VENUE_OF_PART: Final = _by_part(venue[2] for venue in _VENUES)
#: Venues below this one are FINRA's facilities.
_EXCHANGES_FROM: Final = 2
_VENUE_OF_MARKET: Final = {"XNYS": 5, "ARCX": 2, "XASE": 8, "XNAS": 3, "OTC": 1}

#: What the prints above one share that are no symbol's first of their second are. Of all prints these are a third
#: at most: so one in 200 is reported late, which is one for each hundred second bars.
_KINDS: Final = (
    (Kind.SWEEP, 0.25), (Kind.EXEMPT, 0.05), (Kind.SWEEP_EXEMPT, 0.03), (Kind.AVERAGE_PRICE, 0.012),
    (Kind.CONTINGENT, 0.004), (Kind.QUALIFIED_CONTINGENT, 0.015), (Kind.CASH, 0.001), (Kind.NEXT_DAY, 0.001),
    (Kind.OUT_OF_SEQUENCE, 0.025), (Kind.DERIVED, 0.003), (Kind.PRIOR_REFERENCE, 0.004), (Kind.BUNCHED_SOLD, 0.002),
)  # fmt: skip
_KIND: Final = np.array([*(kind for kind, _ in _KINDS), Kind.ORDINARY])
_KIND_OF_PART: Final = _KIND[_by_part([*(share for _, share in _KINDS), 1 - sum(share for _, share in _KINDS)])]
_OFF_MARKET: Final = np.isin(np.arange(len(Kind)), conditions.OFF_MARKET)

#: A print that is reported late is so by 3 s to 15 minutes; the others by some ms.
LATE_MS: Final = (3_000, 900_000)
REPORT_MS: Final = 12
#: Prices of "earlier" are those of so long ago, at most.
EARLIER_S: Final = 300
#: Prints that bear the sequence number of the symbol's print before them.
EQUAL_SEQUENCE: Final = 0.01
#: The auctions' shares of a usual day, and for how many seconds after the close closing prints come.
OPENING_SHARE: Final = 0.01
CLOSING_SHARE: Final = 0.05
CLOSING_S: Final = 5


#: Columns of prints that have no number yet: `venue` is a place of `_VENUES`, `late` ms.
Rows = dict[str, Any]


class Tape:
    """Makes prints of the flow of one trading day. `lot` is each symbol's round lot, `usual` a usual day's shares."""

    def __init__(self, rng: np.random.Generator, universe: Universe, lot: Ints, usual: Floats) -> None:
        self._rng, self._lot, self._usual = rng, lot, usual
        self._home = np.array([_VENUE_OF_MARKET[market] for market in universe.markets])
        self._next_id = np.ones(len(_VENUES), dtype=np.int64)
        self._awaits_open = np.ones(len(universe), dtype=np.bool_)
        self._awaits_reopening = np.zeros(len(universe), dtype=np.bool_)
        self._earlier: Floats | None = None

    def skip(self, opened: Flags) -> None:
        """Take it that these symbols have had their opening auction."""
        self._awaits_open &= ~opened

    def reopens(self, slots: Ints) -> None:
        """Let the next print of symbols be the one that reopens them."""
        self._awaits_reopening[slots] = True

    def prints(
        self, second: int, flow: Flow, price: Floats, spread: Floats, mid: Floats, bands: tuple[Floats, Floats], *,
        regular: bool,
    ) -> Trades:  # fmt: skip
        """The prints of a flow with the market's price at the moment of each; the sequence is still to be given.

        `spread` is half of each symbol's, `mid` its price at the second's end, `bands` the lowest and highest price.
        """
        slot = flow.trade_slot
        count, rng = len(slot), self._rng
        venue = _VENUE_OF_PART[(rng.random(count) * len(_VENUE_OF_PART)).astype(np.intp)]
        kind = _KIND_OF_PART[(rng.random(count) * _PARTS).astype(np.intp)]
        kind[(flow.first & (kind >= Kind.AVERAGE_PRICE)) | flow.below] = Kind.ORDINARY
        special = np.flatnonzero(kind >= Kind.AVERAGE_PRICE)
        reported = np.concatenate((np.flatnonzero(flow.below), special))
        venue[reported] = np.where(venue[reported] < _EXCHANGES_FROM, venue[reported], venue[reported] & 1)
        # Intermarket sweeps are orders of exchanges.
        kind[(venue < _EXCHANGES_FROM) & ((kind == Kind.SWEEP) | (kind == Kind.SWEEP_EXEMPT))] = Kind.ORDINARY
        price = price + rng.integers(-1, 2, count) * spread[slot]
        if len(special):
            price[special] = self._agreed(slot[special], kind[special], price[special])
        size = flow.trade_size
        # Retail prints below a share are priced between the ticks.
        exact = np.where(flow.below & (price >= 1), np.round(price, 4), to_tick(price))
        lower, upper = bands
        price = np.where(_OFF_MARKET[kind], exact, np.clip(exact, lower[slot], upper[slot]))
        if second % EARLIER_S == 0 or self._earlier is None:
            self._earlier = mid
        late = rng.integers(0, REPORT_MS, count)
        behind = special[kind[special] == Kind.OUT_OF_SEQUENCE]
        late[behind] = rng.integers(*LATE_MS, len(behind))
        code = kind * 4 + (size < self._lot[slot] * SHARE) + (0 if regular else 2)
        rows: Rows = {
            "slot": slot, "at": flow.trade_at, "price": price, "size": size, "venue": venue, "code": code, "late": late,
        }  # fmt: skip
        if regular:
            rows = self._with_auctions(rows)
        return self._numbered(rows)

    def closing(self, second: int, traded: Flags, mid: Floats, trades: Trades) -> Trades:
        """Prints and the closing auctions of a second after the close: a fifth of the symbols that traded in each."""
        slots = np.flatnonzero(traded & (np.arange(len(traded)) % CLOSING_S == second))
        if not len(slots):
            return trades
        at = in_order(self._rng.integers(0, 1000, len(slots)))
        slots = self._rng.permutation(slots)
        auctions = self._auction(slots, at, to_tick(mid[slots]), Kind.CLOSING, CLOSING_SHARE)
        official = auctions | {"code": np.full(len(slots), 4 * Kind.OFFICIAL_CLOSE)}
        closing = self._numbered(_joined(auctions, official))
        both = {
            name: np.concatenate((getattr(trades, name), getattr(closing, name))) for name in Trades.__struct_fields__
        }
        order = order_of(both["at"])
        return Trades(**{name: column[order] for name, column in both.items()})

    def equal_now_and_then(self, trades: Trades, sequence: Ints) -> Ints:
        """Sequence numbers in which some prints have the number of the symbol's print before them."""
        order = order_of(trades.slot)
        same = np.flatnonzero(
            (np.diff(trades.slot[order]) == 0) & (self._rng.random(max(len(order) - 1, 0)) < EQUAL_SEQUENCE)
        )
        sequence[order[same + 1]] = sequence[order[same]]
        return sequence

    def _agreed(self, slot: Ints, kind: Ints, price: Floats) -> Floats:
        """Prices of prints that the market of their moment did not make."""
        off = self._rng.uniform(0.003, 0.06, len(slot)) * self._rng.choice((-1, 1), len(slot))
        earlier = price if self._earlier is None else self._earlier[slot]
        return np.where(_OFF_MARKET[kind], price * (1 + off), earlier)

    def _with_auctions(self, rows: Rows) -> Rows:
        """Rows in which the first price of a symbol after the open, or after a halt, is that of an auction."""
        slot, code = rows["slot"], rows["code"]
        waits = (self._awaits_open | self._awaits_reopening)[slot]
        if not waits.any():
            return rows
        may = np.flatnonzero(waits & conditions.OPEN_CLOSE[code])
        slots, first = np.unique(slot[may], return_index=True)
        places, opening = may[first], self._awaits_open[slots]
        self._awaits_open[slots] = self._awaits_reopening[slots] = False
        auction = self._auction(slots, rows["at"][places], rows["price"][places], Kind.OPENING, OPENING_SHARE)
        auction["code"] = np.where(opening, auction["code"], 4 * Kind.REOPENING)
        for name, column in auction.items():
            rows[name] = rows[name].copy()
            rows[name][places] = column
        official = {name: column[opening] for name, column in auction.items()}
        return _joined(rows, official | {"code": np.full(int(opening.sum()), 4 * Kind.OFFICIAL_OPEN)})

    def _auction(self, slot: Ints, at: Ints, price: Floats, kind: Kind, share: float) -> Rows:
        lot = self._lot[slot]
        size = np.maximum(np.round(self._usual[slot] * share / lot), 1).astype(np.int64) * lot * SHARE
        return {
            "slot": slot, "at": at, "price": price, "size": size, "venue": self._home[slot],
            "code": np.full(len(slot), 4 * kind), "late": np.zeros(len(slot), dtype=np.int64),
        }  # fmt: skip

    def _numbered(self, rows: Rows) -> Trades:
        """Rows as trades: ids count on for each exchange and facility, so that those of two are equal."""
        venue = rows["venue"]
        ids = np.empty(len(venue), dtype=np.int64)
        for number in range(len(_VENUES)):
            places = np.flatnonzero(venue == number)
            ids[places] = self._next_id[number] + np.arange(len(places))
            self._next_id[number] += len(places)
        return Trades(
            rows["slot"], rows["at"], rows["price"], rows["size"], EXCHANGE[venue], FACILITY[venue], ids,
            np.zeros(len(venue), dtype=np.int64), rows["code"], rows["late"],
        )  # fmt: skip


def _joined(one: Rows, other: Rows) -> Rows:
    """Rows of both in time order, at equal times those of `one` first."""
    both = {name: np.concatenate((column, other[name])) for name, column in one.items()}
    order = order_of(both["at"])
    return {name: column[order] for name, column in both.items()}
