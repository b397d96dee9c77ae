"""A window of trades in figures."""

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from app.market.trade_conditions import Counts
from app.market.trade_pace import MINUTE_MS
from app.market.trade_ring import Ring
from app.market.trade_sides import Side

#: Largest prints that are told of a window.
LARGEST_PRINTS = 3


class WindowStatistics(Struct, frozen=True, gc=False):
    """A window in figures: shares, US dollars and ms, of the trades that count for volume.

    The latest trade is the newest by its time that may set the last price; its figures are None where none may.
    """

    total_volume: float
    trade_count: int
    avg_size: float
    max_size: float
    time_span_ms: int
    latest_price: float | None
    latest_timestamp: int | None
    latest_exchange: int | None


class LargePrint(Struct, frozen=True, gc=False):
    """A large trade of a window; `side` is `bid`, `ask`, or None where it is not known."""

    price: float
    size: float
    timestamp: int
    exchange: int
    side: str | None


class WindowDetail(WindowStatistics, frozen=True, kw_only=True, gc=False):
    """More of a window.

    `bid_volume` and `ask_volume` are shares sold at the bid and bought at the ask, as far as the quote of
    the moment was known; None where it was of no trade. `trades_per_minute` is the rate up to the newest
    trade, `usual_trades_per_minute` the mean of the symbol's minutes since its window began, without the
    running one, None in its first six minutes, `relative_trade_rate` the first divided by the second.
    `largest_prints` has the largest first, of equal ones the older.
    """

    bid_volume: float | None = None
    ask_volume: float | None = None
    trades_per_minute: float | None = None
    usual_trades_per_minute: float | None = None
    relative_trade_rate: float | None = None
    largest_prints: tuple[LargePrint, ...] = ()


def statistics_of(ring: Ring) -> WindowStatistics:
    """The figures of a window that has a trade."""
    counted, latest = _counted(ring.numbers()), ring.latest()
    sizes, times = counted["size"], counted["timestamp"]
    total, count = float(sizes.sum()), len(counted)
    times = times[times != 0]
    return WindowStatistics(
        total_volume=shares(total),
        trade_count=count,
        avg_size=round(total / count, 2) if count else 0.0,
        max_size=shares(float(sizes.max())) if count else 0,
        time_span_ms=int(times.max() - times.min()) if len(times) else 0,
        latest_price=None if latest is None else float(latest["price"]),
        latest_timestamp=None if latest is None else int(latest["timestamp"]),
        latest_exchange=None if latest is None else int(latest["exchange"]),
    )


def _counted(numbers: NDArray[np.void]) -> NDArray[np.void]:
    """Of trades those that count for volume."""
    counts = (numbers["counts"] & Counts.VOLUME) != 0
    return numbers if counts.all() else numbers[counts]


def detail_of(ring: Ring, statistics: WindowStatistics) -> WindowDetail:
    """All figures of a window; `statistics` are those that are there already."""
    numbers = _counted(ring.ordered())
    sizes, sides = numbers["size"], numbers["side"]
    known = bool(sides.any())
    rate, usual = _rate(ring), ring.pace.usual()
    return WindowDetail(
        *msgspec.structs.astuple(statistics),
        bid_volume=shares(float(sizes[sides == Side.BID].sum())) if known else None,
        ask_volume=shares(float(sizes[sides == Side.ASK].sum())) if known else None,
        trades_per_minute=None if rate is None else round(rate, 2),
        usual_trades_per_minute=None if usual is None else round(usual, 2),
        relative_trade_rate=round(rate / usual, 2) if rate is not None and usual else None,
        largest_prints=tuple(
            LargePrint(
                price=float(numbers[place]["price"]),
                size=shares(float(sizes[place])),
                timestamp=int(numbers[place]["timestamp"]),
                exchange=int(numbers[place]["exchange"]),
                side=side_name(int(sides[place])),
            )
            for place in np.argsort(-sizes, kind="stable")[:LARGEST_PRINTS]
        ),
    )


def side_name(side: int) -> str | None:
    """`bid`, `ask`, or None where it is not known."""
    return None if side == Side.UNKNOWN else Side(side).name.lower()


def _rate(ring: Ring) -> float | None:
    """Trades a minute up to the newest trade; of a full window that is shorter than that, by its own span."""
    times = _counted(ring.numbers())["timestamp"]
    times = times[times != 0]
    if not len(times):
        return None
    newest, oldest = int(times.max()), int(times.min())
    if ring.full and newest - oldest < MINUTE_MS:
        return len(times) * MINUTE_MS / max(newest - oldest, 1)
    return float((times > newest - MINUTE_MS).sum())


#: Fractions of a share have at most so many digits on the wire; sums of floats have a tail.
SHARE_DIGITS = 6


def shares(number: float) -> float:
    """A number of shares as it is written: whole where it is, else without a float's tail."""
    number = round(number, SHARE_DIGITS)
    return int(number) if number.is_integer() else number
