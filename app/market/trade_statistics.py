"""A window of trades in figures."""

import msgspec
import numpy as np
from msgspec import Struct

from app.market.trade_pace import MINUTE_MS
from app.market.trade_ring import Ring
from app.market.trade_sides import Side

#: Largest prints that are told of a window.
LARGEST_PRINTS = 3


class WindowStatistics(Struct, frozen=True, gc=False):
    """A window in figures: shares, US dollars and ms; the latest trade is the last that arrived."""

    total_volume: float
    trade_count: int
    avg_size: float
    max_size: float
    time_span_ms: int
    latest_price: float
    latest_timestamp: int
    latest_exchange: int


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
    numbers, latest = ring.numbers(), ring.latest()
    total = float(numbers["size"].sum())
    times = numbers["timestamp"]
    times = times[times != 0]
    return WindowStatistics(
        total_volume=_whole(total),
        trade_count=len(numbers),
        avg_size=round(total / len(numbers), 2),
        max_size=_whole(float(numbers["size"].max())),
        time_span_ms=int(times.max() - times.min()) if len(times) else 0,
        latest_price=float(latest["price"]),
        latest_timestamp=int(latest["timestamp"]),
        latest_exchange=int(latest["exchange"]),
    )


def detail_of(ring: Ring, statistics: WindowStatistics) -> WindowDetail:
    """All figures of a window; `statistics` are those that are there already."""
    numbers = ring.ordered()
    sizes, sides = numbers["size"], numbers["side"]
    known = bool(sides.any())
    rate, usual = _rate(ring), ring.pace.usual()
    return WindowDetail(
        *msgspec.structs.astuple(statistics),
        bid_volume=_whole(float(sizes[sides == Side.BID].sum())) if known else None,
        ask_volume=_whole(float(sizes[sides == Side.ASK].sum())) if known else None,
        trades_per_minute=None if rate is None else round(rate, 2),
        usual_trades_per_minute=None if usual is None else round(usual, 2),
        relative_trade_rate=round(rate / usual, 2) if rate is not None and usual else None,
        largest_prints=tuple(
            LargePrint(
                price=float(numbers[place]["price"]),
                size=_whole(float(sizes[place])),
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
    times = ring.numbers()["timestamp"]
    times = times[times != 0]
    if not len(times):
        return None
    newest, oldest = int(times.max()), int(times.min())
    if ring.full and newest - oldest < MINUTE_MS:
        return len(times) * MINUTE_MS / max(newest - oldest, 1)
    return float((times > newest - MINUTE_MS).sum())


def _whole(shares: float) -> float:
    return int(shares) if shares.is_integer() else shares
