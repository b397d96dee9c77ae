"""A symbol's price bands (LULD) and whether it is halted.

The vendor tells halts and reopenings of Nasdaq-listed symbols only (tape 3). Of the others it sends bands: that
they trade is not said by their silence.
"""

import math
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from app.market.bounds import check_time
from app.market.calendar import TradingCalendar
from app.market.events import LimitUpLimitDown, epoch_ms

#: The indicators of a LULD event (glossary "Conditions and Indicators" of the vendor); 16 is by far the most frequent.
INDICATORS: Final[Mapping[int, str]] = {
    15: "Intraday Update",
    16: "Restated Value",
    17: "Suspended Halt Pause",
    18: "Reopening Update",
    19: "Outside Price Band Rule Hours",
    21: "Price Band",
    22: "Republished",
}
#: The tape of Nasdaq-listed symbols, the only one whose halts are told.
TOLD_TAPE: Final = 3


class HaltCodes(Struct, frozen=True):
    """Which indicators halt a symbol, and why, and which let it trade again: by default the vendor's 17 and 18."""

    halting: Mapping[int, str] = field(default_factory=lambda: {17: "trading halt or pause"})
    resuming: frozenset[int] = frozenset({18})


class HaltState(Struct, frozen=True, gc=False):
    """The last known bands of a symbol in US dollars and its last halt; all times in epoch ms.

    `halted_since` is None while the symbol trades; `reason` and `resumed_at` are of the last halt of `day`, the
    trading day (ISO date). `tape` is 1 (NYSE), 2 (NYSE Arca, American and others) or 3 (Nasdaq); `halts_told` says
    whether the vendor tells halts of the symbol, None where its tape is not known.
    """

    symbol: str
    upper_band: float | None
    lower_band: float | None
    indicators: tuple[int, ...]
    timestamp: int
    sequence_number: int
    halted_since: int | None = None
    reason: str | None = None
    resumed_at: int | None = None
    day: str | None = None
    tape: int | None = None
    halts_told: bool | None = None


def fold_halt(
    state: HaltState | None,
    event: LimitUpLimitDown,
    codes: HaltCodes,
    calendar: TradingCalendar,
    limit_ms: float = math.inf,
) -> HaltState | None:
    """The state after an event, or None when it is older (time, then sequence) and left out.

    A band that is missing or 0.00, as in a halt, is not known: the last one of the day stays. An event without a
    code of either kind changes no halt; a halt ends with its trading day. Raises `ValueError`: no symbol, no
    time, a time outside of the calendar or later than `limit_ms`, or another symbol. `limit_ms` is the latest time
    that an event received now may have: a state that is later was made by a wrong one and does not count.
    """
    symbol = event.symbol
    if not symbol:
        raise ValueError("expected a LULD event with a symbol (`T`), was without")
    if event.timestamp is None:
        raise ValueError(f"expected a time (`t`) in the LULD event of {symbol}, was without")
    at_ms, sequence = epoch_ms(event.timestamp), event.sequence_number or 0
    if at_ms > limit_ms:
        check_time(symbol, at_ms, limit_ms)
    day = calendar.day_of(at_ms)
    upper, lower, tape, since, reason, resumed = event.upper_band, event.lower_band, event.tape, None, None, None
    if state is not None and state.timestamp <= limit_ms:
        if state.symbol != symbol:
            raise ValueError(f"expected a LULD event of {state.symbol}, was one of {symbol}")
        if (at_ms, sequence) < (state.timestamp, state.sequence_number):
            return None
        tape = tape or state.tape
        if day == state.day:
            upper, lower = upper or state.upper_band, lower or state.lower_band
            since, reason, resumed = state.halted_since, state.reason, state.resumed_at
    indicators = tuple(event.indicators or ())
    why = next((codes.halting[code] for code in indicators if code in codes.halting), None)
    if why is not None:
        since, reason, resumed = (at_ms if since is None else since), why, None
    elif since is not None and not codes.resuming.isdisjoint(indicators):
        since, resumed = None, at_ms
    return HaltState(
        symbol, upper or None, lower or None, indicators, at_ms, sequence, since, reason, resumed,
        day, tape, None if not tape else tape == TOLD_TAPE,
    )  # fmt: skip


def after_its_day(state: HaltState, day: str, next_day: str) -> HaltState | None:
    """The state without a halt that is not of the present; None: nothing to do.

    It is of a trading day before `day` (ISO date), which it outlived, or of one after `next_day`, the one after it: of
    a wrong time. Of the next day it may be before the market's rows are.
    """
    if state.halted_since is None or (state.day is not None and day <= state.day <= next_day):
        return None
    return HaltState(
        state.symbol, state.upper_band, state.lower_band, state.indicators, state.timestamp, state.sequence_number,
        day=state.day, tape=state.tape, halts_told=state.halts_told,
    )  # fmt: skip
