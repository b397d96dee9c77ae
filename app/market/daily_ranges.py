"""A symbol's high and low of each session of the day, and the alerts when one of them falls."""

import math

import msgspec
from msgspec import Struct

from app.market.bounds import LONGEST_BAR_MS, check_bar
from app.market.calendar import Session, TradingCalendar
from app.market.events import Aggregate
from app.market.rows import QuoteRow


class DailyRange(Struct, frozen=True, gc=False):
    """The six extremes of a symbol's trading day (ISO date) in US dollars; None before the first print."""

    symbol: str
    day: str
    pre_market_high: float | None = None
    pre_market_low: float | None = None
    regular_session_high: float | None = None
    regular_session_low: float | None = None
    after_hours_high: float | None = None
    after_hours_low: float | None = None


class RangeAlert(Struct, frozen=True, gc=False):
    """A new extreme of the running session; prices in US dollars, `timestamp` in epoch seconds."""

    symbol: str
    session: Session
    direction: str
    price: float
    previous: float
    timestamp: float
    note: str


_FIELDS = {
    Session.PRE_MARKET: "pre_market",
    Session.REGULAR: "regular_session",
    Session.AFTER_HOURS: "after_hours",
}
#: Whose extremes a session's new one is compared with, in this order, and what they are called.
_EARLIER = {
    Session.PRE_MARKET: (),
    Session.REGULAR: (("pre_market", "pre-market"),),
    Session.AFTER_HOURS: (("regular_session", "regular session"), ("pre_market", "pre-market")),
}


def fold_range(
    state: DailyRange | None, bar: Aggregate | QuoteRow, calendar: TradingCalendar, limit_ms: float = math.inf
) -> tuple[DailyRange, list[RangeAlert]]:
    """The ranges after a bar, and at most one alert for its high and one for its low.

    Outside of the three sessions (overnight too), and for a bar of an older day, nothing changes. A missing high or low
    is left out. `limit_ms` is the latest time that a bar received now may have: ranges of a later day were made by a
    wrong one, and the bar begins afresh. Raises `ValueError`: no symbol, no time, one outside of the calendar or
    later than the limit, or a bar of less than nothing or more than a minute.
    """
    if not bar.symbol:
        raise ValueError("expected a bar with a symbol, was without")
    at_ms = bar.start_timestamp
    if at_ms is None:
        if bar.end_timestamp is None:
            raise ValueError(f"expected a start or end time in the bar of {bar.symbol}, was neither")
        at_ms = bar.end_timestamp - 1
    end_ms = at_ms if bar.end_timestamp is None else bar.end_timestamp
    if end_ms > limit_ms or not 0 <= end_ms - at_ms <= LONGEST_BAR_MS:
        check_bar(bar.symbol, at_ms, end_ms, limit_ms)
    day = calendar.day_of(at_ms)
    if state is None or day > state.day or (day < state.day and _is_to_come(state.day, limit_ms, calendar)):
        state = DailyRange(bar.symbol, day)
    session = calendar.session_of(at_ms)
    if session not in _FIELDS or day < state.day:
        return state, []
    stamp_s = (at_ms if bar.end_timestamp is None else bar.end_timestamp) / 1000
    changes: dict[str, float] = {}
    alerts = []
    for direction, price in (("high", bar.high), ("low", bar.low)):
        field = f"{_FIELDS[session]}_{direction}"
        previous = getattr(state, field)
        if price is None or (previous is not None and not _beyond(direction, price, previous)):
            continue
        changes[field] = price
        if previous is not None:
            note = _note(state, session, direction, price)
            alerts.append(RangeAlert(bar.symbol, session, direction, price, previous, stamp_s, note))
    return (msgspec.structs.replace(state, **changes) if changes else state), alerts


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
