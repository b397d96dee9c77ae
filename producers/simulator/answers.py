"""Bodies of the vendor's REST answers, made from the market model's present state."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np

from app.market.calendar import NEW_YORK, Session
from producers.simulator.bars import BarColumns
from producers.simulator.history import Bars
from producers.simulator.market import MarketModel

Json = dict[str, Any]
_INDICES: Final = (
    "s_and_p",
    "societe_generale",
    "cgi",
    "msci",
    "ftse_russell",
    "mstar",
    "mstarc",
    "cccy",
    "nasdaq",
    "dow_jones",
)


def day_bar(bars: Bars, slot: int) -> Json:
    """A day's bar as snapshots and grouped days have it."""
    return {
        "o": float(bars.open[slot]),
        "h": float(bars.high[slot]),
        "l": float(bars.low[slot]),
        "c": float(bars.close[slot]),
        "v": float(bars.volume[slot]),
        "vw": float(bars.vwap[slot]),
    }


def _iso(stamp_ms: int) -> str:
    return datetime.fromtimestamp(stamp_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Answers:
    """What the REST API says about the market; a symbol is a slot of the universe."""

    def __init__(self, model: MarketModel, seed: int) -> None:
        self.model, self._seed = model, seed
        self._average_of: tuple[str, Any] = ("", None)
        self._holidays_of: tuple[str, list[Json]] = ("", [])

    def market_status(self, now_ms: int, forced: Literal["open", "closed"] | None) -> Json:
        """Whether the market is open at a time; `forced` overrides what the calendar says."""
        session = self.model.calendar.session_of(now_ms)
        early, late = session is Session.PRE_MARKET, session is Session.AFTER_HOURS
        market = {None: "closed", Session.REGULAR: "open"}.get(session, "extended-hours")
        if forced is not None:
            market, early, late = forced, False, False
        return {
            "market": market,
            "serverTime": datetime.fromtimestamp(now_ms // 1000, NEW_YORK).isoformat(),
            "earlyHours": early,
            "afterHours": late,
            "exchanges": {"nyse": market, "nasdaq": market, "otc": market},
            "currencies": {"fx": "open", "crypto": "open"},
            "indicesGroups": dict.fromkeys(_INDICES, market),
        }

    def holidays(self, now_ms: int) -> list[Json]:
        """Holidays and early closes of the year to come, one row per exchange and day."""
        today = self.model.day.day
        if self._holidays_of[0] != today:
            self._holidays_of = (today, _holidays(datetime.fromtimestamp(now_ms / 1000, NEW_YORK).date()))
        return self._holidays_of[1]

    def snapshot(self, slot: int, now_ms: int) -> Json:
        """The `ticker` object of a snapshot. `lastTrade` is left out, as on smaller plans."""
        model = self.model
        today, previous = day_bar(model.bars.as_bars(), slot), day_bar(model.history.last, slot)
        change = today["c"] - previous["c"] if today["v"] else 0.0
        body: Json = {
            "ticker": model.universe.tickers[slot],
            "todaysChange": round(change, 4),
            "todaysChangePerc": round(change / previous["c"] * 100, 4),
            "updated": now_ms * 1_000_000 if today["v"] else 0,
            "day": today,
            "prevDay": previous,
        }
        for minute in reversed(model.bars.minutes):
            row = _row_of(minute, slot)
            if row is not None:
                body["min"] = {"av": int(minute.day_volume[row]), **minute_bar([(minute, row)])}
                break
        return body

    def aggregates(self, slot: int, timespan: str, multiplier: int, first_ms: int, last_ms: int) -> list[Json]:
        """Bars (`day` or `minute`, several joined to one where asked; `second`) that begin in a range, oldest first.

        Minutes and seconds are those that the simulator has run. Raises `ValueError`: another timespan.
        """
        if timespan == "second" and multiplier == 1:
            return self.model.recent.bars(slot, first_ms, last_ms)
        if timespan == "minute":
            return self._minutes(slot, multiplier, first_ms, last_ms)
        if timespan == "day":
            days = self._days(slot, first_ms, last_ms)
            groups = [days[place : place + multiplier] for place in range(0, len(days), multiplier)]
            return [group[0] if len(group) == 1 else _joined(group) for group in groups]
        raise ValueError(f"expected the timespan day, minute or 1 second, was {multiplier} {timespan!r}")

    def ratios(self, slot: int) -> list[Json]:
        """The financial ratios of a symbol: one row, or none."""
        model, universe = self.model, self.model.universe
        if not universe.has_ratios[slot]:
            return []
        rng = np.random.default_rng([self._seed, 4, slot])
        price, shares = float(model.history.last.close[slot]), float(universe.shares[slot])
        earnings, sales = price / rng.uniform(8, 60) * (1 if rng.random() < 0.7 else -1), price / rng.uniform(0.8, 12)
        row: Json = {
            "ticker": universe.tickers[slot],
            "cik": f"{1_000_000 + slot:010d}",
            "date": model.history.days[-1],
            "price": price,
            "average_volume": self._average_volume(slot),
            "market_cap": round(price * shares, 2),
            "earnings_per_share": round(earnings, 2),
            "price_to_book": round(float(rng.uniform(0.7, 20)), 2),
            "price_to_sales": round(price / sales, 2),
            "dividend_yield": round(float(rng.uniform(0, 0.05)), 4) if rng.random() < 0.5 else 0.0,
            "return_on_equity": round(float(rng.uniform(-0.2, 0.5)), 2),
            "debt_to_equity": round(float(rng.uniform(0, 3)), 2),
        }
        return [row | {"price_to_earnings": round(price / earnings, 2)}] if earnings > 0 else [row]

    def floats(self, slot: int) -> list[Json]:
        """The free float of a symbol: one row, or none."""
        universe = self.model.universe
        free = float(universe.free_float[slot])
        if free < 0:
            return []
        percent = round(free / float(universe.shares[slot]) * 100, 2)
        return [
            {
                "ticker": universe.tickers[slot],
                "free_float": int(free),
                "free_float_percent": percent,
                "effective_date": self.model.history.days[-1],
            }
        ]

    def splits(self) -> list[Json]:
        """The splits of the present day; the simulated market has none yet."""
        return []

    def details(self, slot: int) -> Json:
        """A symbol as `/v3/reference/tickers/{ticker}` has it."""
        shares = int(self.model.universe.shares[slot])
        return self.ticker(slot) | {
            "share_class_shares_outstanding": shares,
            "weighted_shares_outstanding": shares,
            "market_cap": round(shares * float(self.model.history.last.close[slot]), 2),
        }

    def ticker(self, slot: int) -> Json:
        """A symbol as `/v3/reference/tickers` lists it."""
        universe = self.model.universe
        return {
            "ticker": universe.tickers[slot],
            "name": universe.names[slot],
            "market": "stocks",
            "locale": "us",
            "primary_exchange": universe.markets[slot],
            "type": universe.kinds[slot],
            "active": True,
            "currency_name": "usd",
            "cik": f"{1_000_000 + slot:010d}",
            "last_updated_utc": f"{self.model.history.days[-1]}T00:00:00Z",
        }

    def _average_volume(self, slot: int) -> float:
        day = self.model.day.day
        if self._average_of[0] != day:
            self._average_of = (day, self.model.history.average_volume())
        return float(self._average_of[1][slot])

    def _days(self, slot: int, first_ms: int, last_ms: int) -> list[Json]:
        model = self.model
        rows = []
        today = (model.day.day, model.bars.as_bars())
        for day, bars in [*((day, model.history.bars(day)) for day in model.history.days), today]:
            midnight_ms = (
                int(datetime.combine(date.fromisoformat(day), datetime.min.time(), NEW_YORK).timestamp()) * 1000
            )
            if first_ms <= midnight_ms <= last_ms and bars.volume[slot] > 0:
                rows.append(day_bar(bars, slot) | {"t": midnight_ms, "n": int(bars.trades[slot])})
        return rows

    def _minutes(self, slot: int, multiplier: int, first_ms: int, last_ms: int) -> list[Json]:
        groups: dict[int, list[tuple[BarColumns, int]]] = {}
        for minute in self.model.bars.minutes:
            if first_ms <= minute.start_ms <= last_ms:
                row = _row_of(minute, slot)
                if row is not None:
                    window_ms = 60_000 * multiplier
                    groups.setdefault(minute.start_ms // window_ms * window_ms, []).append((minute, row))
        return [minute_bar(group) | {"t": start_ms} for start_ms, group in groups.items()]


def _row_of(minute: BarColumns, slot: int) -> int | None:
    place = int(np.searchsorted(minute.slot, slot))
    return place if place < len(minute.slot) and minute.slot[place] == slot else None


def minute_bar(rows: list[tuple[BarColumns, int]]) -> Json:
    """One bar of several minutes of a symbol, each given as columns and row."""
    volume = sum(int(bars.volume[row]) for bars, row in rows)
    return {
        "o": float(rows[0][0].open[rows[0][1]]),
        "h": max(float(bars.high[row]) for bars, row in rows),
        "l": min(float(bars.low[row]) for bars, row in rows),
        "c": float(rows[-1][0].close[rows[-1][1]]),
        "v": float(volume),
        "vw": round(sum(float(bars.notional[row]) for bars, row in rows) / volume, 4),
        "t": rows[0][0].start_ms,
        "n": sum(int(bars.trades[row]) for bars, row in rows),
    }


def _joined(days: list[Json]) -> Json:
    volume = sum(day["v"] for day in days)
    return {
        "o": days[0]["o"],
        "h": max(day["h"] for day in days),
        "l": min(day["l"] for day in days),
        "c": days[-1]["c"],
        "v": volume,
        "vw": round(sum(day["vw"] * day["v"] for day in days) / volume, 4),
        "t": days[0]["t"],
        "n": sum(day["n"] for day in days),
    }


def _holidays(today: date) -> list[Json]:
    # Here: it brings pandas, a second and 60 MB, and hardly anyone asks for holidays.
    import exchange_calendars

    until = today + timedelta(days=365)
    calendar = exchange_calendars.get_calendar("XNYS", start=today.isoformat(), end=until.isoformat())
    named: Mapping[Any, str] = calendar.regular_holidays.holidays(
        today.isoformat(), until.isoformat(), return_name=True
    )
    rows: list[Json] = [
        {"date": stamp.date().isoformat(), "name": name, "status": "closed"} for stamp, name in named.items()
    ]
    for stamp in calendar.early_closes:
        times = {"open": calendar.session_open(stamp), "close": calendar.session_close(stamp)}
        rows.append(
            {"date": stamp.date().isoformat(), "name": "Early close", "status": "early-close"}
            | {name: _iso(at.value // 1_000_000) for name, at in times.items()}
        )
    rows.sort(key=lambda row: str(row["date"]))
    return [row | {"exchange": exchange} for row in rows for exchange in ("NYSE", "NASDAQ")]
