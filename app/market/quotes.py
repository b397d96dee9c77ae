"""A symbol's quote row: its last aggregate, its open price of the session, the derived figures.

`accumulate` keeps only what later aggregates depend on, and `finish` derives the row once a flush.
"""

import math

import msgspec
from msgspec import Struct

from app.market.bounds import LONGEST_BAR_MS, check_bar
from app.market.calendar import TradingCalendar
from app.market.events import Aggregate, PreviousDay, Reference, exact_shares
from app.market.rows import QuoteRow

_UNKNOWN_DAY = PreviousDay()


class QuoteState(Struct, frozen=True, gc=False):
    """What the next aggregate of a symbol depends on, and the last one.

    `day` is the trading day (ISO date), `open` the session's first price in US dollars, None until
    there was one, `opened_regular` whether that session is the regular one, `ordered_ms` the time
    that later aggregates of the day must not be before.
    """

    last: Aggregate
    symbol: str
    day: str
    opened_regular: bool
    open: float | None
    ordered_ms: int


def accumulate(
    state: QuoteState | None, event: Aggregate, calendar: TradingCalendar, limit_ms: float = math.inf
) -> QuoteState | None:
    """The state after an aggregate, or None when it is older than the state and left out.

    Age goes by the trading day, then by the aggregate's end, the session by its start; where one is missing the
    other stands in. `limit_ms` is the latest time that an event received now may have: a state that is later was
    made by a wrong one, and the aggregate begins afresh. Raises `ValueError`: no symbol, no time at all, a time
    outside of the calendar or later than the limit, or a bar of less than nothing or more than a minute.
    """
    symbol = event.symbol
    if not symbol:
        raise ValueError("expected an aggregate with a symbol (`sym`), was without")
    start_ms = event.start_timestamp
    ordered_ms = event.end_timestamp
    if ordered_ms is None:
        if start_ms is None:
            raise ValueError(f"expected a start or end time (`s`, `e`) in the aggregate of {symbol}, was neither")
        ordered_ms = start_ms
    elif start_ms is None:
        start_ms = ordered_ms - 1  # its end is the first ms that it does not cover
    if ordered_ms > limit_ms or not 0 <= ordered_ms - start_ms <= LONGEST_BAR_MS:
        check_bar(symbol, start_ms, ordered_ms, limit_ms)
    day, opened_regular = calendar.phase(start_ms)
    price = None
    if state is not None and state.ordered_ms <= limit_ms:
        if state.symbol != symbol:
            raise ValueError(f"expected an aggregate of {state.symbol}, was one of {symbol}")
        if day == state.day:
            if ordered_ms < state.ordered_ms:
                return None
            # A bar that began before the open but ended after others cannot undo the open.
            if state.opened_regular or not opened_regular:
                opened_regular = state.opened_regular
                price = state.open
        elif day < state.day:
            return None
    if price is None:
        price = event.open
        if price is None:
            price = event.close
    return QuoteState(event, symbol, day, opened_regular, price, ordered_ms)


def finish(state: QuoteState, reference: Reference | None, received_ns: int | None = None) -> QuoteRow:
    """The row of a state whose last aggregate was received then; reference data of another trading day is not known."""
    last = state.last
    opened = state.open
    traded = last.accumulated_volume
    if last.decimal_accumulated_volume is not None:
        traded = exact_shares(last.decimal_accumulated_volume, traded)
    close = last.close or 0.0
    avg_volume = free_float = change = pct_change = change_open = pct_open = relative_volume = pct_open_gap = None
    previous = _UNKNOWN_DAY
    if reference is not None and reference.day == state.day:
        if reference.previous_day is not None:
            previous = reference.previous_day
        avg_volume = reference.avg_volume
        free_float = reference.free_float
        if avg_volume:
            relative_volume = (traded or 0.0) / avg_volume
    previous_close = previous.close
    if previous_close is not None:
        change = close - previous_close
        if previous_close:
            pct_change = change / previous_close * 100.0
            if opened is not None:
                pct_open_gap = (opened - previous_close) / previous_close * 100.0
    if opened is not None:
        change_open = close - opened
        if opened:
            pct_open = change_open / opened * 100.0
    average = last.aggregate_vwap
    # Positions, because keywords cost this path a third of its time; a test pins the order.
    return QuoteRow(
        state.symbol,
        state.day,
        state.opened_regular,
        last.volume if last.decimal_volume is None else exact_shares(last.decimal_volume, last.volume),
        traded,
        last.official_open_price or 0.0,
        last.vwap,
        opened,
        last.close,
        last.high,
        last.low,
        last.aggregate_vwap,
        last.average_size,
        last.start_timestamp,
        last.end_timestamp,
        previous_close,
        previous.open,
        previous.high,
        previous.low,
        previous.volume,
        previous.vwap,
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
    return QuoteState(last, row.symbol, row.day, row.opened_regular, row.open, ordered_ms)


def with_reference(row: QuoteRow, reference: Reference | None) -> QuoteRow:
    """The row with its figures derived anew from reference data; None takes them away."""
    return finish(state_of(row), reference, row.received_ns)


def row_at(
    bar: Aggregate,
    row: QuoteRow | None,
    reference: Reference | None,
    calendar: TradingCalendar,
    received_ns: int | None = None,
) -> QuoteRow:
    """The row as it was when a bar was its last: the same whichever later row of the session is there by now.

    Raises `ValueError` as `accumulate` does.
    """
    state = accumulate(None, bar, calendar)
    if state is None:
        raise ValueError(f"expected a bar of {bar.symbol} that begins a state")
    if row is not None and (row.day, row.opened_regular) == (state.day, state.opened_regular):
        state = msgspec.structs.replace(state, open=row.open)
    return finish(state, reference, received_ns)
