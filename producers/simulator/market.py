"""The market model: one virtual second of events at a time, from a seed, plausible and consistent.

What is drawn never hangs on who is connected or how fast the wall clock runs: the same seed and
start give the same seconds. A second bar is exactly what the trades of its second add up to.

Numpy draws columns, and only what somebody subscribes to becomes JSON. Measured on one core of a busy machine
(Python 3.11): 790,000 to 840,000 events per second of processor time with 500 symbols, 710,000 to 740,000 with 12,000,
JSON included: 0.94 and 0.80 of what events without fractions, conditions and facilities took, which are shorter.
"""

from collections import deque
from typing import Final

import numpy as np
from msgspec import Struct, structs

from app.market.calendar import TradingCalendar, TradingDay
from producers.simulator import conditions
from producers.simulator.activity import DayShape
from producers.simulator.bars import BarColumns, DayBars, add_to_row
from producers.simulator.conditions import Kind
from producers.simulator.flow import Flow, OrderFlow
from producers.simulator.history import History, to_tick
from producers.simulator.luld import RESUMED, LimitUpLimitDown
from producers.simulator.prices import Prices
from producers.simulator.prints import CLOSING_S, EXCHANGE, Tape
from producers.simulator.recent import Recent
from producers.simulator.second import Encoded, Second, encoded
from producers.simulator.securities import WHOLE_MARKET
from producers.simulator.splits import Splits
from producers.simulator.symbols import Flags, Floats, Ints, make_universe
from producers.simulator.wire import Bands, Quotes, Trades

_EXCHANGES: Final = EXCHANGE[2:]

#: The vendor waits for so long before a second bar goes out.
BAR_DELAY_S: Final = 2
#: An overnight session begins so long before 04:00 ET: at 21:00.
OVERNIGHT_MS: Final = 7 * 3_600_000
#: Prices (US dollars) of the previous day above which a round lot is smaller, and what it is then.
_ROUND_LOTS: Final = ((10_000, 1), (1_000, 10), (250, 40))


class World(Struct, frozen=True):
    """What the market has beside the everyday.

    `late_bars`: bars are sent again when a print comes that belongs to them. `test_symbols`: the exchanges' own are on
    the tape. `overnight`: a trading day begins at 21:00 ET of the evening before, as has been filed for. `otc`: some
    companies trade over the counter.
    """

    late_bars: bool = False
    test_symbols: bool = False
    overnight: bool = False
    otc: bool = False


class MarketModel:
    """A seeded market that starts at a time of a trading day (epoch ms) and goes on day after day."""

    next_ms: int
    prices: Prices
    luld: LimitUpLimitDown
    bars: DayBars
    _begins_ms: int
    _flow: OrderFlow
    _tape: Tape

    def __init__(
        self, calendar: TradingCalendar, *, symbols: int, seed: int, events_per_s: float, start_ms: int,
        world: World = World(),  # noqa: B008 - it cannot change
    ) -> None:  # fmt: skip
        self.calendar, self.world, self._seed, self._events_per_s = calendar, world, seed, events_per_s
        universe = self.universe = make_universe(symbols, seed, test_symbols=world.test_symbols, otc=world.otc)
        self.recent = Recent(universe.tape)
        self.day = calendar.trading_day(calendar.day_of(start_ms))
        following = calendar.trading_day(calendar.next_day(self.day.day))
        if start_ms >= self.begins_ms(following):
            self.day = following
        self.first_day = self.day.day
        shape = self._shape_of_day()
        lot = _round_lots(universe.price)
        usual = OrderFlow(
            np.random.default_rng(seed), universe, events_per_s, universe.weight, universe.mean_size, lot
        ).usual_volume(shape)
        self.history = History(universe, calendar, self.day.day, usual, seed)
        self.splits = Splits(seed, symbols)
        self._mean_size = universe.mean_size
        self._waiting: deque[BarColumns] = deque()
        self._begin_day(shape)
        self._skip_to(start_ms - start_ms % 1000)

    def begins_ms(self, day: TradingDay) -> int:
        """When a trading day's first session begins (epoch ms)."""
        return day.pre_market_ms - (OVERNIGHT_MS if self.world.overnight else 0)

    @property
    def day_over(self) -> bool:
        """Whether 20:00 ET has come: `next_day` goes on."""
        return self.next_ms >= self.day.after_hours_end_ms

    def next_day(self) -> None:
        """Go on with the next trading day's first session; the finished one becomes the previous day."""
        finished, last = self.bars.as_bars(), self.history.last
        factors = self.splits.factors(self.history.days[-1], self.day.day)
        idle = finished.close == 0
        for part in ("open", "high", "low", "close", "vwap"):
            getattr(finished, part)[idle] = last.close[idle] / factors[idle]
        self.history.add(self.day.day, finished)
        self.day = self.calendar.trading_day(self.calendar.next_day(self.day.day))
        self._begin_day(self._shape_of_day())

    def second(self) -> Second:
        """The events of the next virtual second. Raises `ValueError`: the day is over."""
        if self.day_over:
            raise ValueError(f"expected a time before 20:00 ET of {self.day.day}, was past it; call next_day() first")
        start_ms, number = self.next_ms, (self.next_ms - self._begins_ms) // 1000
        rate = float(self._shape.rate[number])
        regular = self.day.opens_ms <= start_ms < self.day.closes_ms
        events = self.luld.step(number, self.prices.mid)
        self._tape.reopens(events.slot[events.code == RESUMED])
        told = events.told(self.universe.tape, self.universe.otc)
        bands = Bands(told.slot, told.upper, told.lower, told.code, self._sequence(len(told.slot)))
        self.prices.step(number, rate, regular, self.luld.halted)
        self.prices.mid = self.luld.clamp(self.prices.mid)
        flow = self._flow.second(rate, self.prices.boost, self.luld.halted)
        trades, quotes = self._trades(number, flow, regular), self._quotes(flow)
        again, minutes_again, present = self._late(start_ms, trades)
        bars = self.bars.add_second(
            start_ms, trades.slot[present], trades.price[present], trades.size[present], trades.code[present]
        )
        self.recent.add(start_ms, trades, bars)
        self.next_ms = start_ms + 1000
        minute = self.bars.end_minute(self.next_ms) if self.next_ms % 60_000 == 0 else None
        self._waiting.append(bars)
        # The day's last bars do not wait: the feed is silent after 20:00 ET.
        due = len(self._waiting) if self.day_over else len(self._waiting) - BAR_DELAY_S
        sent = [self._waiting.popleft() for _ in range(due)]
        return Second(start_ms, trades, quotes, bars, sent, minute, again, minutes_again, bands)

    def encode(self, second: Second, kinds: frozenset[str]) -> Encoded:
        """The events of the wanted types as JSON, in order of delivery; costs only what is wanted."""
        return encoded(second, kinds, self.universe)

    def _shape_of_day(self) -> DayShape:
        return DayShape(self.day, self.begins_ms(self.day))

    def _begin_day(self, shape: DayShape) -> None:
        universe, day = self.universe, self.day
        rng = self._rng = np.random.default_rng([self._seed, 3, int(day.day.replace("-", ""))])
        self._shape = shape
        self._begins_ms = self.begins_ms(day)
        self.next_ms = self._begins_ms
        previous = self.history.last.close
        if len(universe) >= WHOLE_MARKET:
            self.splits.draw(day.day, previous)
        factor = self.splits.factors(self.history.days[-1], day.day)
        self._mean_size = self._mean_size * factor
        previous = np.where(previous > 0, previous / factor, universe.price)
        self.prices = Prices(rng, universe, previous)
        share = universe.weight * self.prices.relative_volume
        lot = self._lot = _round_lots(previous)
        self._flow = OrderFlow(rng, universe, self._events_per_s, share, self._mean_size, lot)
        first_tier = (previous >= 3) & (universe.weight >= np.quantile(universe.weight, 0.6)) & ~universe.small_float
        opens, closes = ((at - self._begins_ms) // 1000 for at in (day.opens_ms, day.closes_ms))
        self.luld = LimitUpLimitDown(first_tier, opens, closes)
        self.bars = DayBars(len(universe))
        self._waiting.clear()
        self._tape = Tape(rng, universe, lot, self._flow.usual_volume(shape))
        self._last_sequence = 1000
        cents = np.maximum(0.01, self.prices.mid * rng.uniform(0.0001, 0.0015, len(universe)))
        self._half_spread = np.where(self.prices.mid < 1, self.prices.mid * 0.002 + 0.0001, cents / 2)

    def _skip_to(self, start_ms: int) -> None:
        """Take the state that the day would have at a time, without running it."""
        number = (min(start_ms, self.day.after_hours_end_ms) - self._begins_ms) // 1000
        if number <= 0:
            return
        passed = self._shape.passed(number)
        opened = to_tick(self.prices.mid)
        self.prices.skip(passed)
        usual = self._flow.usual_volume(self._shape)
        volume = usual * passed * self._rng.lognormal(0, 0.2, len(self.universe))
        trades = volume / (self._mean_size + self._lot / 4)
        official = start_ms >= self.day.opens_ms
        self.bars.skip(np.where(trades < 1, 0, volume), trades, opened, to_tick(self.prices.mid), official)
        self._tape.skip(self.bars.official_open > 0)
        self.next_ms = self._begins_ms + number * 1000

    def _trades(self, number: int, flow: Flow, regular: bool) -> Trades:
        price = self._price_at(flow.trade_slot, flow.trade_at)
        bands = self.luld.lower, self.luld.upper
        trades = self._tape.prints(number, flow, price, self._half_spread, self.prices.mid, bands, regular=regular)
        closed_s = (self.next_ms - self.day.closes_ms) // 1000
        if 0 <= closed_s < CLOSING_S:
            traded = (self.bars.official_open > 0) & ~self.luld.halted
            trades = self._tape.closing(closed_s, traded, self.prices.mid, trades)
        sequence = self._tape.equal_now_and_then(trades, self._sequence(len(trades.slot)))
        return structs.replace(trades, sequence=sequence)

    def _late(self, start_ms: int, trades: Trades) -> tuple[list[BarColumns], list[BarColumns], Flags]:
        """Add late prints to the bars of their time: those bars, the minutes', and which prints are the present's."""
        present = np.ones(len(trades.slot), dtype=np.bool_)
        seconds: list[BarColumns] = []
        minutes: list[BarColumns] = []
        if self.world.late_bars:
            for place in np.flatnonzero(trades.code // 4 == Kind.OUT_OF_SEQUENCE).tolist():
                made_ms = start_ms + int(trades.at[place] - trades.late_ms[place])
                slot, price, size = (int(trades.slot[place]), float(trades.price[place]), int(trades.size[place]))
                bars = self.recent.bars_of(made_ms // 1000 * 1000)
                row = None if bars is None else bars.row_of(slot)
                if bars is None or row is None:
                    continue
                high_low = bool(conditions.HIGH_LOW[trades.code[place]])
                add_to_row(bars, row, price, size, high_low=high_low)
                seconds.append(bars.rows(slice(row, row + 1)))
                minute = self.bars.add_late(bars.start_ms, slot, price, size, high_low=high_low)
                if minute is not None:
                    minutes.append(minute)
                present[place] = False
        return seconds, minutes, present

    def _quotes(self, flow: Flow) -> Quotes:
        slot, at = flow.quote_slot, flow.quote_at
        count = len(slot)
        middle, half = self._price_at(slot, at), self._half_spread[slot]
        bid = to_tick(middle - half)
        ask = to_tick(np.maximum(middle + half, bid + np.where(bid >= 1, 0.01, 0.0001)))
        sizes = self._lot[slot] * (1 + self._rng.geometric(0.3, (2, count)))
        venues = _EXCHANGES[self._rng.integers(0, len(_EXCHANGES), (2, count), dtype=np.uint8)]
        sequence = self._sequence(count)
        return Quotes(slot, at, bid, ask, sizes[0], sizes[1], venues[0], venues[1], sequence)

    def _price_at(self, slot: Ints, at: Ints) -> Floats:
        before = self.prices.before[slot]
        moved: Floats = before + (self.prices.mid[slot] - before) * (at / 1000)
        return moved

    def _sequence(self, count: int) -> Ints:
        """Rising numbers with gaps, as a tape's are for each of its symbols."""
        numbers: Ints = self._last_sequence + np.cumsum(self._rng.integers(1, 4, count))
        if count:
            self._last_sequence = int(numbers[-1])
        return numbers


def _round_lots(price: Floats) -> Ints:
    """Shares of a round lot by price: https://www.nyse.com/publicdocs/nyse/markets/nyse/Round-Lot-FAQ.pdf."""
    lots = np.full(len(price), 100)
    for above, shares in reversed(_ROUND_LOTS):
        lots[price > above] = shares
    return lots
