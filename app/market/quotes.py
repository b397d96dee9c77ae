"""A symbol's quote row: its last aggregate, its open price of the session, the derived figures.

`accumulate` keeps only what later aggregates depend on, and `finish` derives the row once a flush.
"""

import math
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from app.market.bounds import LONGEST_BAR_MS, check_bar
from app.market.calendar import TradingCalendar
from app.market.events import Aggregate, PreviousDay, Reference, exact_shares
from app.market.rows import QuoteRow

_UNKNOWN_DAY = PreviousDay()
#: Before all times: the start of a bar that is not known. No bar can be the same one.
_NO_START: Final = -1


class FirstPrice(Struct, frozen=True, gc=False):
    """The first price since 04:00 or 09:30 ET in US dollars, and when its bar began (epoch ms)."""

    price: float
    start_ms: int


class QuoteState(Struct, frozen=True, gc=False):
    """What the next aggregate of a symbol depends on, and the last one that had a close.

    `day` is the trading day (ISO date), `open` the session's first price in US dollars, None until there was one,
    `opened_regular` whether that session is the regular one, `opened_ms` when the bar of that price began, -1 where
    that is not known. `ordered_ms` is the time that later aggregates of the day must not be before to be the last
    one. `traded` are the most shares of the day that any of them told, `average` the day's average price with it.
    """

    last: Aggregate
    symbol: str
    day: str
    opened_regular: bool
    open: float | None
    ordered_ms: int
    opened_ms: int
    traded: float | None
    average: float | None


class Lateness(StrEnum):
    """What an aggregate was that is not simply the next one of its symbol."""

    #: Of an earlier trading day than the row: left out.
    OTHER_DAY = "other_day"
    #: Of a time before the row's last bar.
    LATE = "late"
    #: Of the time of the row's last bar, in whose place it is.
    REPEATED = "repeated"


def lateness(before: QuoteState | None, event: Aggregate, after: QuoteState | None) -> Lateness | None:
    """What an aggregate was that made one state of another; None for one that is next in time."""
    if after is None:
        return Lateness.OTHER_DAY
    if after.last is event:
        # A bar of another day has another end.
        return Lateness.REPEATED if before is not None and before.ordered_ms == after.ordered_ms else None
    # One without a close is never the last; it may be in time.
    ended_ms = event.end_timestamp if event.end_timestamp is not None else event.start_timestamp
    return Lateness.LATE if before is not None and ended_ms is not None and ended_ms < before.ordered_ms else None


def bar_times(bar: Aggregate, limit_ms: float) -> tuple[int, int]:
    """A bar's start and end in epoch ms; where one is missing the other stands in.

    Raises `ValueError`: no symbol, no time at all, a time later than the limit, or a bar of less than nothing or more
    than a minute.
    """
    start_ms, end_ms = bar.start_timestamp, bar.end_timestamp
    if not bar.symbol:
        raise ValueError("expected an aggregate with a symbol (`sym`), was without")
    if end_ms is None:
        if start_ms is None:
            raise ValueError(f"expected a start or end time (`s`, `e`) in the aggregate of {bar.symbol}, was neither")
        end_ms = start_ms
    elif start_ms is None:
        start_ms = end_ms - 1  # its end is the first ms that it does not cover
    if end_ms > limit_ms or not 0 <= end_ms - start_ms <= LONGEST_BAR_MS:
        check_bar(bar.symbol, start_ms, end_ms, limit_ms)
    return start_ms, end_ms


def first_price(bar: Aggregate) -> float | None:
    """The price that a bar began at, None where it changes none: it has no close, or one of 0."""
    return (bar.open or bar.close) if bar.close else None


def accumulate(
    state: QuoteState | None, event: Aggregate, calendar: TradingCalendar, limit_ms: float = math.inf
) -> QuoteState | None:
    """The state after an aggregate, or None when it is of an earlier trading day and left out.

    The last aggregate is the one with the latest end that has a close; of one end the one that came last, since an
    aggregate for a time that is there already replaces it. So is the open price that of the aggregate that began
    first. One that comes late raises the day's volume all the same. `limit_ms` is the latest time that an event
    received now may have: a state that is later was made by a wrong one, and the aggregate begins afresh. Raises
    `ValueError` as `bar_times` does, and for a time outside of the calendar, or another symbol.
    """
    start_ms, ordered_ms, symbol = event.start_timestamp, event.end_timestamp, event.symbol
    # What most bars are, without a call.
    if not symbol or start_ms is None or ordered_ms is None or not start_ms <= ordered_ms <= limit_ms:
        start_ms, ordered_ms = bar_times(event, limit_ms)
    elif ordered_ms - start_ms > LONGEST_BAR_MS:
        check_bar(symbol, start_ms, ordered_ms, limit_ms)
    symbol = symbol or ""
    day, opened_regular = calendar.phase(start_ms)
    traded, average, close = event.accumulated_volume, event.aggregate_vwap, event.close
    if event.decimal_accumulated_volume is not None:
        traded = exact_shares(event.decimal_accumulated_volume, traded)
    price, opened_ms, last = None, _NO_START, event
    if close:
        price, opened_ms = event.open or close, start_ms
    if state is not None and state.ordered_ms <= limit_ms:
        if state.symbol != symbol:
            raise ValueError(f"expected an aggregate of {state.symbol}, was one of {symbol}")
        if day == state.day:
            if state.traded is not None and (traded is None or traded < state.traded):
                traded, average = state.traded, state.average
            # A bar of before the open cannot undo it, and one without a price undoes nothing.
            if price is None or state.opened_regular > opened_regular:
                opened_regular, price, opened_ms = state.opened_regular, state.open, state.opened_ms
            elif state.opened_regular == opened_regular and state.open is not None and start_ms > state.opened_ms:
                price, opened_ms = state.open, state.opened_ms
            if not close or (ordered_ms < state.ordered_ms and state.last.close):
                last, ordered_ms = state.last, state.ordered_ms
        elif day < state.day:
            return None
    return QuoteState(last, symbol, day, opened_regular, price, ordered_ms, opened_ms, traded, average)


def finish(state: QuoteState, reference: Reference | None, received_ns: int | None = None) -> QuoteRow:
    """The row of a state whose last aggregate was received then; reference data of another trading day is not known.

    Zero is not a price: one of 0 is null as a missing one is, and so is what would be reckoned from it.
    """
    last = state.last
    opened = state.open
    traded = state.traded
    average = state.average or None
    close = last.close or None
    avg_volume = free_float = change = pct_change = change_open = pct_open = relative_volume = pct_open_gap = None
    previous = _UNKNOWN_DAY
    if reference is not None and reference.day == state.day:
        if reference.previous_day is not None:
            previous = reference.previous_day
        avg_volume = reference.avg_volume
        free_float = reference.free_float
        if avg_volume and traded is not None:
            relative_volume = traded / avg_volume
    previous_close = previous.close or None
    if previous_close is not None:
        if close is not None:
            change = close - previous_close
            pct_change = change / previous_close * 100.0
        if opened is not None:
            pct_open_gap = (opened - previous_close) / previous_close * 100.0
    if opened is not None and close is not None:
        change_open = close - opened
        pct_open = change_open / opened * 100.0
    # Positions, because keywords cost this path a third of its time; a test pins the order.
    return QuoteRow(
        state.symbol,
        state.day,
        state.opened_regular,
        last.volume if last.decimal_volume is None else exact_shares(last.decimal_volume, last.volume),
        traded,
        last.official_open_price or None,
        last.vwap or None,
        opened,
        close,
        last.high or None,
        last.low or None,
        average,
        last.average_size,
        last.start_timestamp,
        last.end_timestamp,
        previous_close,
        previous.open or None,
        previous.high or None,
        previous.low or None,
        previous.volume,
        previous.vwap or None,
        avg_volume,
        free_float,
        change,
        pct_change,
        change_open,
        pct_open,
        relative_volume,
        received_ns,
        None if traded is None or average is None else traded * average,
        pct_open_gap,
        None if opened is None or state.opened_ms == _NO_START else state.opened_ms,
    )


def state_of(row: QuoteRow) -> QuoteState:
    """The state that a row was finished from, so that a table that was read back can go on.

    Raises `ValueError` for a row without any time, which `finish` never makes.
    """
    last = Aggregate(
        row.symbol,
        row.volume,
        row.accumulated_volume,
        row.official_open_price,
        row.vwap,
        row.open,
        row.close,
        row.high,
        row.low,
        row.aggregate_vwap,
        row.average_size,
        row.start_timestamp,
        row.end_timestamp,
    )
    ordered_ms = row.end_timestamp if row.end_timestamp is not None else row.start_timestamp
    if ordered_ms is None:
        raise ValueError(f"expected a start or end time in the row of {row.symbol}, was neither")
    opened_ms = _NO_START if row.open_timestamp is None else row.open_timestamp
    traded, average = row.accumulated_volume, row.aggregate_vwap
    return QuoteState(
        last, row.symbol, row.day, row.opened_regular, row.open or None, ordered_ms, opened_ms, traded, average
    )


def with_reference(row: QuoteRow, reference: Reference | None) -> QuoteRow:
    """The row with its figures derived anew from reference data; None takes them away."""
    return finish(state_of(row), reference, row.received_ns)


def row_at(
    bar: Aggregate,
    first: FirstPrice | None,
    reference: Reference | None,
    calendar: TradingCalendar,
    received_ns: int | None = None,
) -> QuoteRow:
    """The row as it was when a bar was its last, with the first price of the bar's session where that is known.

    Raises `ValueError` as `accumulate` does.
    """
    state = accumulate(None, bar, calendar)
    if state is None:
        raise ValueError(f"expected a bar of {bar.symbol} that begins a state")
    if first is not None:
        state = msgspec.structs.replace(state, open=first.price, opened_ms=first.start_ms)
    return finish(state, reference, received_ns)
