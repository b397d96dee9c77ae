"""A symbol's high and low of each session of the day, and the alerts when one of them falls.

A bar for a time that is there already replaces it, up to 15 minutes later: a late print changes it. So the bars that
reach furthest are kept for that long, and an extreme that one of them takes back falls to the next one's.
"""

import math
from bisect import insort
from typing import Final

import msgspec
from msgspec import Struct

from app.market.calendar import Session, TradingCalendar
from app.market.events import Aggregate
from app.market.quotes import FirstPrice, bar_times, first_price

#: The vendor sends a bar again for so long (its article on late aggregate bars).
REPLACED_FOR_MS: Final = 15 * 60_000

#: A symbol's row is written this often at least (ms of event time) while it has bars, to know which bars are late.
NEWEST_STEP_MS: Final = 30_000

#: Bars that are kept of an extreme. Of so many at a time one at least holds: a correction is of one print, thus of one
#: bar. Further ones would be written with each new extreme.
KEPT_BARS: Final = 3


class ExtremeBar(Struct, frozen=True, array_like=True, gc=False):
    """A bar that made an extreme, or would if others were not: its price in US dollars, its times in epoch ms."""

    price: float
    start_ms: int
    end_ms: int


class DailyRange(Struct, frozen=True, gc=False):
    """The six extremes of a symbol's trading day (ISO date) in US dollars; None before the first print.

    By extreme, `kept` has the bars of the last 15 minutes that reach furthest, furthest first, and `floors` the price
    that it cannot fall behind any more, where there is one. `newest_ms` is when the newest bar ended (epoch ms, up to
    30 s behind), `first` and `first_regular` are the first prices since 04:00 and since 09:30 ET.
    """

    symbol: str
    day: str
    pre_market_high: float | None = None
    pre_market_low: float | None = None
    regular_session_high: float | None = None
    regular_session_low: float | None = None
    after_hours_high: float | None = None
    after_hours_low: float | None = None
    kept: dict[str, tuple[ExtremeBar, ...]] = msgspec.field(default_factory=dict)
    floors: dict[str, float] = msgspec.field(default_factory=dict)
    newest_ms: int = 0
    first: FirstPrice | None = None
    first_regular: FirstPrice | None = None

    def first_price_of(self, bar: Aggregate, calendar: TradingCalendar) -> FirstPrice | None:
        """The first price of the session that a bar of this day belongs to; None: not known."""
        return self.first_regular if calendar.opened(bar_times(bar, math.inf)[0]) else self.first


class RangeAlert(Struct, frozen=True, gc=False):
    """A new extreme of a session; prices in US dollars, `timestamp` in epoch seconds.

    It is `late` when a bar made it that came after later ones of its symbol.
    """

    symbol: str
    session: Session
    direction: str
    price: float
    previous: float
    timestamp: float
    note: str
    late: bool = False


_FIELDS = {
    Session.PRE_MARKET: "pre_market",
    Session.REGULAR: "regular_session",
    Session.AFTER_HOURS: "after_hours",
}
#: Of each session: direction, field, whether it is the high.
_EXTREMES = {
    session: (("high", f"{name}_high", True), ("low", f"{name}_low", False)) for session, name in _FIELDS.items()
}
#: Whose extremes a session's new one is compared with, in this order, and what they are called.
_EARLIER = {
    Session.PRE_MARKET: (),
    Session.REGULAR: (("pre_market", "pre-market"),),
    Session.AFTER_HOURS: (("regular_session", "regular session"), ("pre_market", "pre-market")),
}


def fold_range(
    state: DailyRange | None, bar: Aggregate, calendar: TradingCalendar, limit_ms: float = math.inf
) -> tuple[DailyRange, list[RangeAlert]]:
    """The ranges after a bar, and at most one alert for its high and one for its low.

    Outside of the three sessions (overnight too), and for a bar of an older day, no extreme changes. A high or low that
    is missing or 0 is left out. A bar whose time is among those kept takes the place of that one. `limit_ms` is the
    latest time that a bar received now may have: ranges of a later day were made by a wrong one, and the bar begins
    afresh. Raises `ValueError` as `bar_times` does, and for a time outside of the calendar.
    """
    start_ms, end_ms = bar_times(bar, limit_ms)
    day, regular = calendar.phase(start_ms)
    if state is None or day > state.day or (day < state.day and _is_to_come(state.day, limit_ms, calendar)):
        state = DailyRange(bar.symbol or "", day)
    if day < state.day:
        return state, []
    before = state
    known = state.first_regular if regular else state.first
    if known is None or start_ms <= known.start_ms:
        state = _with_first_price(state, bar, start_ms, regular)
    alerts: list[RangeAlert] = []
    session = calendar.session_of(start_ms)
    # What is kept had ended by the newest time: a bar that ended later is none of it.
    new = end_ms > before.newest_ms
    for direction, field, high in _EXTREMES.get(session, ()) if session is not None else ():
        price = bar.high if high else bar.low
        kept = state.kept.get(field, ())
        least = kept[-1].price if len(kept) == KEPT_BARS else state.floors.get(field)
        if not price or (new and least is not None and (price <= least if high else price >= least)):
            continue
        previous = getattr(state, field)
        state = _taken(state, field, high, ExtremeBar(price, start_ms, end_ms))
        if session is not None and previous is not None and _beyond(direction, price, previous):
            note, late = _note(state, session, direction, price), is_late(before, end_ms)
            stamp_s = (start_ms if bar.end_timestamp is None else end_ms) / 1000
            alerts.append(RangeAlert(state.symbol, session, direction, price, previous, stamp_s, note, late))
    # The newest time is kept where something else has changed, else in steps: rows are not written for each bar.
    newest_ms = before.newest_ms
    if end_ms >= newest_ms + NEWEST_STEP_MS or (state is not before and end_ms > newest_ms):
        state = msgspec.structs.replace(state, newest_ms=end_ms)
    return state, alerts


def is_late(state: DailyRange, end_ms: int) -> bool:
    """Whether a bar that ends then ends before one of its symbol and day that was there already."""
    return end_ms < state.newest_ms


def _with_first_price(state: DailyRange, bar: Aggregate, start_ms: int, regular: bool) -> DailyRange:
    known, price = state.first_regular if regular else state.first, first_price(bar)
    if price is None or (known is not None and (known.price, known.start_ms) == (price, start_ms)):
        return state
    return msgspec.structs.replace(state, **{"first_regular" if regular else "first": FirstPrice(price, start_ms)})


def _taken(state: DailyRange, field: str, high: bool, bar: ExtremeBar) -> DailyRange:
    """The ranges with a bar among those kept of an extreme, in the place of the one of its time."""
    start_ms, end_ms, sign = bar.start_ms, bar.end_ms, -1.0 if high else 1.0
    kept, floors = _still_kept(state, start_ms - REPLACED_FOR_MS)
    floor = floors.get(field)
    known = kept.get(field, ())
    best = [each for each in known if each.start_ms != start_ms or each.end_ms != end_ms]
    if floor is None or sign * bar.price < sign * floor:
        insort(best, bar, key=lambda each: (sign * each.price, each.start_ms, each.end_ms))
    if len(best) > KEPT_BARS:
        # Those that are kept are all beyond the floor: what is let go of becomes it.
        floor = best.pop().price
        while best and best[-1].price == floor:
            best.pop()
    if kept is state.kept and tuple(best) == known and floor == floors.get(field):
        return state
    kept, floors = kept | {field: tuple(best)}, floors if floor is None else floors | {field: floor}
    return msgspec.structs.replace(state, kept=kept, floors=floors, **{field: best[0].price if best else floor})


def _still_kept(state: DailyRange, from_ms: int) -> tuple[dict[str, tuple[ExtremeBar, ...]], dict[str, float]]:
    """What is kept from a time on: what is older can be taken back no more."""
    kept, floors = state.kept, state.floors
    for field, bars in state.kept.items():
        for place, bar in enumerate(bars):
            if bar.start_ms < from_ms:
                # The furthest of those that are old: of the others only those beyond it still matter.
                kept, floors = kept | {field: bars[:place]}, floors | {field: bar.price}
                break
    return kept, floors


def _is_to_come(day: str, limit_ms: float, calendar: TradingCalendar) -> bool:
    return limit_ms < math.inf and day > calendar.day_of(int(limit_ms))


def _beyond(direction: str, price: float, extreme: float) -> bool:
    return price > extreme if direction == "high" else price < extreme


def _note(state: DailyRange, session: Session, direction: str, price: float) -> str:
    for field, spoken in _EARLIER[session]:
        extreme = getattr(state, f"{field}_{direction}")
        if extreme is not None and _beyond(direction, price, extreme):
            return f"Broke {spoken} {direction} of {_dollars(extreme)}"
    return ""


def _dollars(price: float) -> str:
    # Stocks from a dollar on are quoted in cents, those below it in hundredths of a cent (Rule 612).
    return f"${price:.2f}" if price >= 1 else f"${price:.4f}"
