"""What an event may say of time: bounds at the edge, so that nothing moves on one event's word."""

import math
from datetime import UTC, datetime
from typing import Final

from app.market.calendar import TradingCalendar
from app.market.events import Reference

#: A trading day, the newest time or the open counts for a set of symbols once so many of them have seen it, or all
#: where there are fewer. One event with a wrong time is of one symbol; a market has thousands.
AGREEING_SYMBOLS: Final = 3

#: How far ahead of its receipt an event may be (ms). The vendor's clocks and ours are right to a second.
AHEAD_MS: Final = 60_000

#: The longest bar (ms): a minute, whose end may be told as that of its last second.
LONGEST_BAR_MS: Final = 61_000

#: The digits of a time in ns: the latest that a row's field can hold is in the year 2262.
_NS_DIGITS: Final = 19
_LATEST_NS: Final = 2**63 - 1


class AheadOfReceiptError(ValueError):
    """An event, or reference data, of a time that cannot be yet."""


class BarLengthError(ValueError):
    """A bar of less than nothing, or of more than a minute."""


def check_time(symbol: str, at_ms: int, limit_ms: float) -> None:
    """Whether an event's time is at most `limit_ms`, which is a minute after its receipt (epoch ms).

    Raises `AheadOfReceiptError`: it is later. Such an event would hide all that come after it.
    """
    if at_ms > limit_ms:
        ahead_s = (at_ms - limit_ms + AHEAD_MS) / 1000
        raise AheadOfReceiptError(
            f"expected an event of {symbol} at most {AHEAD_MS // 1000} s ahead of its receipt, "
            f"was {ahead_s:,.0f} s ahead (at {_utc(at_ms)})"
        )


def check_bar(symbol: str, start_ms: int, end_ms: int | None, limit_ms: float) -> None:
    """As `check_time` for the end of a bar, which must not be before its start nor more than a minute after it.

    Raises `BarLengthError`: it is.
    """
    if end_ms is None:
        end_ms = start_ms
    elif not 0 <= end_ms - start_ms <= LONGEST_BAR_MS:
        raise BarLengthError(
            f"expected a bar of {symbol} of 0 to {LONGEST_BAR_MS // 1000} s, was {start_ms} to {end_ms}"
        )
    if end_ms > limit_ms:
        check_time(symbol, end_ms, limit_ms)


def newest_reference_day(limit_ms: float, calendar: TradingCalendar) -> str:
    """The latest trading day (ISO date) that reference data received now may be for: the one after today's."""
    return "9999-12-31" if limit_ms == math.inf else calendar.next_day(calendar.day_of(int(limit_ms)))


def newer_reference(
    before: Reference | None, found: Reference, limit_ms: float, calendar: TradingCalendar
) -> Reference | None:
    """Which of two counts, None where it is the one before; one for a day that cannot be known yet does not.

    Raises `AheadOfReceiptError`: the new one is for such a day.
    """
    if before is not None and found.day == before.day:
        return found
    newest = newest_reference_day(limit_ms, calendar)
    if found.day > newest:
        raise AheadOfReceiptError(
            f"expected reference data of {found.symbol} for {newest} at the latest, was for {found.day}"
        )
    return found if before is None or found.day > before.day or before.day > newest else None


def received_ns(header: bytes | None) -> int | None:
    """When an event was received (epoch ns), by its header of ASCII digits; None where the header does not say.

    A header that is no time costs its event nothing but the time of its receipt.
    """
    if header is None or not header.isdigit() or len(header) > _NS_DIGITS:
        return None
    found = int(header)
    return found if 0 < found <= _LATEST_NS else None


def _utc(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
