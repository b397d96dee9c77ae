"""What time it is in the market that is shown: the machine's, or that of a market that is replayed or simulated."""

from typing import Final

from msgspec import Struct

from app.market.calendar import Session, TradingCalendar

#: Events that happened so long before or after their receipt are of another time: a delayed plan's are 15 minutes late.
OF_ANOTHER_TIME_MS: Final = 20 * 60_000


class MarketMoment(Struct, frozen=True):
    """A moment of the market, and the session it is in.

    `at_ms` is in epoch ms. `session` is None while the market is closed; then `opens_ms` is when the next trading day
    begins, which the calendar does not know beyond its last day.
    """

    at_ms: int
    session: Session | None
    opens_ms: int | None


def market_ms(now_ms: int, event_ms: int | None, received_ms: int | None) -> int:
    """The market's time (epoch ms) by the machine's and by the newest row's event time and receipt.

    It is the machine's: a market that is silent closes all the same. Only where rows are of another time than their
    receipt (a replay, a simulated market) it is theirs, going on since then.
    """
    if event_ms is None or received_ms is None or abs(received_ms - event_ms) < OF_ANOTHER_TIME_MS:
        return now_ms
    return event_ms + max(now_ms - received_ms, 0)


def market_moment(calendar: TradingCalendar, at_ms: int) -> MarketMoment | None:
    """What the calendar says of a time in epoch ms; None for one outside of it."""
    try:
        session = calendar.session_of(at_ms)
    except ValueError:
        return None
    if session is not None:
        return MarketMoment(at_ms, session, None)
    try:
        opens_ms = calendar.trading_day(calendar.next_day(calendar.day_of(at_ms))).begins_ms
    except ValueError:
        opens_ms = None
    return MarketMoment(at_ms, None, opens_ms)
