"""Bars as the rows of REST answers: a day's, some minutes', some days joined to one."""

from typing import Any, Final

from producers.simulator.bars import BarColumns
from producers.simulator.history import Bars
from producers.simulator.shares import SHARE, decimal

Json = dict[str, Any]

_PRICES: Final = (("o", "open"), ("h", "high"), ("l", "low"), ("c", "close"), ("vw", "vwap"))


def day_bar(bars: Bars, slot: int, factor: float = 1.0) -> Json:
    """A day's bar as snapshots and grouped days have it; `factor` are new shares for one old, of later splits."""
    shares = round(float(bars.volume[slot]) * factor * SHARE)
    prices = {name: float(getattr(bars, column)[slot]) for name, column in _PRICES}
    if factor != 1.0:
        prices = {name: round(price / factor, 4) for name, price in prices.items()}
    return prices | {"v": shares // SHARE, "dv": decimal(shares)}


def minute_bar(rows: list[tuple[BarColumns, int]]) -> Json:
    """One bar of several minutes of a symbol, each given as columns and row."""
    volume = sum(int(bars.volume[row]) for bars, row in rows)
    return {
        "o": float(rows[0][0].open[rows[0][1]]),
        "h": max(float(bars.high[row]) for bars, row in rows),
        "l": min(float(bars.low[row]) for bars, row in rows),
        "c": float(rows[-1][0].close[rows[-1][1]]),
        "v": volume // SHARE,
        "dv": decimal(volume),
        "vw": round(sum(float(bars.notional[row]) for bars, row in rows) / volume, 4),
        "t": rows[0][0].start_ms,
        "n": sum(int(bars.trades[row]) for bars, row in rows),
    }


def last_minute(bars: BarColumns, row: int) -> Json:
    """The `min` object of a snapshot."""
    so_far = int(bars.day_volume[row])
    return {"av": so_far // SHARE, "dav": decimal(so_far), **minute_bar([(bars, row)])}


def joined(days: list[Json]) -> Json:
    """One bar of several days, oldest first."""
    volume = sum(float(day["dv"]) for day in days)
    return {
        "o": days[0]["o"],
        "h": max(day["h"] for day in days),
        "l": min(day["l"] for day in days),
        "c": days[-1]["c"],
        "v": int(volume),
        "dv": decimal(round(volume * SHARE)),
        "vw": round(sum(day["vw"] * float(day["dv"]) for day in days) / volume, 4),
        "t": days[0]["t"],
        "n": sum(day["n"] for day in days),
    }
